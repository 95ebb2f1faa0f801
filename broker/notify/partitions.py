"""How several notifiers share the subscriptions: in partitions, each served by one of them at a time.

A partition has all that belongs to a subscription: its order, its backlog, its throttling and its due times.
"""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from broker.notify.lease import Lease
from broker.storage.mongo_feed import Position
from broker.storage.mongo_shares import Roll

PARTITION_COUNT = 16


def partition(tenant: str, subscription: str) -> int:
    """The partition of a subscription, 0 to 15: the same in every process and for ever."""
    return zlib.crc32(f"{tenant} {subscription}".encode()) % PARTITION_COUNT


class Share:
    """The partitions that this process serves, until the pipeline that was made for them ends.

    `positions`: where in the feed each of them goes on; `lease` tells whether they still are this process's.
    """

    def __init__(self, positions: Mapping[int, Position], lease: Lease) -> None:
        self.positions = dict(positions)
        self.partitions = frozenset(positions)
        self.lease = lease
        self._last_start = max((str(position["_data"]) for position in positions.values()), default="")

    @property
    def start(self) -> Position:
        """Where the feed is to be read from: the least of the positions."""
        return min(self.positions.values(), key=lambda position: str(position["_data"]))

    def serves(self, tenant: str, subscription: str) -> bool:
        """Whether this process is the one that sends what the subscription is to be told."""
        return partition(tenant, subscription) in self.partitions

    def is_uneven(self, token: str) -> bool:
        """Whether some partition has had the event with this resume token already (`is_news` tells which)."""
        return token <= self._last_start

    def is_news(self, tenant: str, subscription: str, token: str) -> bool:
        """Whether the event lies behind the position of the subscription's partition."""
        return token > str(self.positions[partition(tenant, subscription)]["_data"])

    def concerns(self, tenant: str, subscription: str, token: str) -> bool:
        """Whether an event of a subscription that is served here lies behind the position of its partition.

        What lies before it was read with the subscription. A deletion, if it was made anew since, would take its lane
        with all that is known of its backlog.
        """
        return self.serves(tenant, subscription) and self.is_news(tenant, subscription, token)

    def advanced(self, reached: Position) -> dict[int, Position]:
        """The positions of all partitions once the feed has been worked through up to `reached`."""
        return {
            number: reached if str(reached["_data"]) > str(position["_data"]) else position
            for number, position in self.positions.items()
        }


@dataclass(slots=True)
class Moves:
    """What a notifier should do for all to have their fair share. `take` names the holder that has to be gone."""

    take: dict[int, str | None] = field(default_factory=dict)
    give: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.take or self.give)


def moves(roll: Roll, name: str, members: Collection[str]) -> Moves:
    """What the notifier called `name` should take and give, as the register is; `members` are those that are alive.

    All who see the same come to plans that fit together.
    """
    held: dict[str, list[int]] = {member: [] for member in members}
    free: dict[int, str | None] = {}
    for number, owned in enumerate(roll.partitions):
        if owned.holder in held:
            held[owned.holder].append(number)
        else:
            free[number] = owned.holder
    base, extra = divmod(len(roll.partitions), max(1, len(held)))
    # Who has more keeps more, so that as few as possible change hands.
    ranked = sorted(held, key=lambda member: (-len(held[member]), member))
    unclaimed = list(free)
    for rank, member in enumerate(ranked):
        fair_count = base + (rank < extra)
        own = held[member]
        wanted, unclaimed = _split(unclaimed, fair_count - len(own))
        if member == name:
            return Moves({number: free[number] for number in wanted}, own[fair_count:])
    return Moves()


def _split(numbers: list[int], count: int) -> tuple[list[int], list[int]]:
    count = max(0, count)
    return numbers[:count], numbers[count:]
