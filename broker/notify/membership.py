"""This notifier among the others: keeps its lease, takes partitions that are free, gives those that are too many."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from broker.errors import StorageUnavailable
from broker.notify.lease import Lease, now_s
from broker.notify.partitions import PARTITION_COUNT, Moves, Share, moves
from broker.process_name import is_gone, own_name
from broker.storage.mongo_feed import Position
from broker.storage.mongo_shares import MongoShares, Roll

_LEASE_S = 4.0
_MARGIN_S = 0.5
_BEAT_S = 0.8
_LEAVE_WITHIN_S = 0.5
# Others whose leases ran out while this notifier itself could not reach MongoDB get this time to renew them.
_GRACE_S = 1.5 * _BEAT_S

log = structlog.get_logger(__name__)


class Membership:
    """`lease` is the one lease of this process; `roll` the register as it was last read, None before the first time.

    `present` gives the position that the feed stands at now: where the first notifier of all begins.
    """

    def __init__(self, shares: MongoShares, present: Callable[[], Awaitable[Position]]) -> None:
        self.name = own_name()
        self.lease = Lease()
        self.roll: Roll | None = None
        self._shares = shares
        self._present = present
        self._busy = asyncio.Lock()
        self._beaten = asyncio.Condition()
        self._steady_since_s: float | None = None
        self._served: frozenset[int] = frozenset()

    async def run(self) -> None:
        """Keeps the lease, for ever."""
        while True:
            async with self._busy:
                await self._beat()
            await asyncio.sleep(_BEAT_S)

    async def share(self) -> Share:
        """Gives what is too much and takes what is free; waits until there is something to serve."""
        self._served = frozenset()
        while True:
            async with self._busy:
                own = await self._rearranged()
                self._served = frozenset(own)
            if own:
                log.info("partitions held", notifier=self.name, partitions=sorted(own))
                return Share(own, self.lease)
            await self._next_beat()

    async def until_disturbed(self) -> bool:
        """Waits until other partitions should be held. True: some are lost, and nothing more may be done for them."""
        while True:
            await self._next_beat()
            if self.roll is None:
                continue
            if not self._holds_what_it_serves(self.roll):
                log.warning("partitions lost: the lease ran out", notifier=self.name)
                return True
            if self._moves(self.roll):
                return False

    async def leave(self) -> None:
        """Gives everything back, so that others need not wait; they will anyway if MongoDB does not answer."""
        async with self._busy:
            self.lease.end()
            own = {} if self.roll is None else self.roll.held_by(self.name)
            try:
                async with asyncio.timeout(_LEAVE_WITHIN_S):
                    await self._shares.give(self.name, own, leaves=True)
            except (StorageUnavailable, TimeoutError) as exc:
                log.warning("partitions not given back", reason=str(exc))

    async def _rearranged(self) -> dict[int, Position]:
        """The partitions held after what was to be done has been; none when MongoDB does not answer."""
        try:
            if not await self._beat() or self.roll is None:
                return {}
            if not self.roll.partitions:
                await self._shares.found(PARTITION_COUNT, await self._present())
                await self._beat()
            plan = self._moves(self.roll)
            if plan.give:
                await self._shares.give(self.name, plan.give)
            if plan.take:
                await self._shares.take(self.name, plan.take, self._ended(self.roll))
            if plan:
                await self._beat()
        except StorageUnavailable as exc:
            log.warning("partitions not rearranged", reason=exc.detail)
            return {}
        return dict(self.roll.held_by(self.name))

    async def _beat(self) -> bool:
        asked_at_s = now_s()
        try:
            roll = await self._shares.beat(self.name, _LEASE_S)
            if roll.expired and not any(owned.holder in roll.expired for owned in roll.partitions):
                await self._shares.forget(roll.expired)
        except StorageUnavailable as exc:
            self._steady_since_s = None
            log.warning("lease not renewed", notifier=self.name, reason=exc.detail)
            return False
        if self._steady_since_s is None:
            self._steady_since_s = now_s()  # not when it was asked: the answer may have waited for MongoDB
        self.roll = roll
        if self._holds_what_it_serves(roll):
            self.lease.renew(asked_at_s + _LEASE_S - _MARGIN_S)
        else:
            self.lease.end()
        async with self._beaten:
            self._beaten.notify_all()
        return True

    def _holds_what_it_serves(self, roll: Roll) -> bool:
        return self._served <= set(roll.held_by(self.name))

    async def _next_beat(self) -> None:
        async with self._beaten:
            await self._beaten.wait()

    def _moves(self, roll: Roll) -> Moves:
        is_steady = self._steady_since_s is not None and now_s() - self._steady_since_s > _GRACE_S
        counted = roll.members if is_steady else [*roll.members, *roll.expired]
        return moves(roll, self.name, set(counted) - self._ended(roll))

    def _ended(self, roll: Roll) -> set[str]:
        """Those whose processes are known to have ended, whatever their leases say."""
        return {name for name in (*roll.members, *roll.expired) if is_gone(name)}
