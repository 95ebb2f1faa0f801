"""What is kept of commands, shared by all agents: which there can be, which there are, which the entities show.

Every method raises `StoreUnavailable` when the database does not answer; writes are durable when they return.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from agents.commands.command import Command, Line, Outcome
from agents.specification import Target


class Kind(NamedTuple):
    """The entities that one subscription is about."""

    target: Target
    entity_type: str


class Commandable(NamedTuple):
    """A command that an entity can be given, and the device that carries it out."""

    kind: Kind
    entity_id: str
    name: str
    line: Line


class Subscribed(NamedTuple):
    """A subscription of the agents at the context broker. `address`: where its notifications go."""

    id: str
    kind: Kind
    names: Sequence[str]
    address: str


class Result(NamedTuple):
    """What a device says became of a command."""

    name: str
    value: object


Verdict = Literal["result", "late", "repeated", "unasked"]
"""A result of an open command; of an expired one; of one that had it already; of no command at all."""


class Filter(NamedTuple):
    """Which commands are asked for; empty: any."""

    apikey: str | None = None
    device: str | None = None
    entity_id: str | None = None
    status: str | None = None
    id: str | None = None


class CommandStore(ABC):
    """See the module."""

    @abstractmethod
    async def prepare(self) -> None:
        """Make sure that there are indexes."""

    # which commands there can be

    @abstractmethod
    async def enter(self, line: Line, commandables: Sequence[Commandable]) -> Sequence[Kind]:
        """Put these in the place of what the device could do before; the kinds that have changed by that."""

    @abstractmethod
    async def entered(self) -> Mapping[Line, Collection[Commandable]]:
        """Return all there are."""

    @abstractmethod
    async def find(self, tenant: str, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Commandable]:
        """Return who carries out these (entity id, command)."""

    @abstractmethod
    async def unmade(self, limit: int, line: Line | None = None) -> Sequence[Commandable]:
        """Return some (of a device) whose attributes the entity may not have yet."""

    @abstractmethod
    async def made(self, commandables: Iterable[Commandable]) -> None:
        """Enter that the entity has the attributes."""

    @abstractmethod
    async def names(self, kind: Kind) -> Sequence[str]:
        """Return the commands of a kind, sorted."""

    @abstractmethod
    async def kinds(self) -> Sequence[Kind]:
        """Return the kinds that have commands, or a subscription."""

    @abstractmethod
    async def subscribed(self, subscription_id: str) -> Subscribed | None:
        """Return what is known of a subscription."""

    @abstractmethod
    async def keep_subscribed(self, subscription_id: str, subscribed: Subscribed | None) -> None:
        """Enter what a subscription is now; None: it is gone."""

    # commands

    @abstractmethod
    async def add(self, commands: Sequence[Command]) -> int:
        """Enter commands, in this order, behind all others; those with a known id are left out. How many are new."""

    @abstractmethod
    async def heads(self, now: datetime, busy: Collection[Line], limit: int) -> Sequence[Command]:
        """Return, of each device that is not `busy`, the oldest command that is to be sent, if its time has come."""

    @abstractmethod
    async def claim(self, command: Command, until: datetime) -> Command | None:
        """Begin an attempt, which no poll may interfere with `until` then; None when it is not to be sent any more."""

    @abstractmethod
    async def attempted(self, command: Command, outcome: Outcome, now: datetime, next_at: datetime) -> bool:
        """Enter how an attempt ended; False when the command has got on otherwise in the meantime."""

    @abstractmethod
    async def poll(self, line: Line, now: datetime, *, distinct: bool) -> Sequence[Command]:
        """Deliver what waits for a device, oldest first; `distinct`: of each name the oldest only."""

    @abstractmethod
    async def settle(self, template: Command, now: datetime) -> Verdict:
        """Enter a result (name and info of `template`) to the oldest open command of that name and device.

        Without one: to the newest that has expired; else, if the newest has not the same result, as a command of its
        own that nobody has asked for: `template`.
        """

    @abstractmethod
    async def expire(self, now: datetime) -> int:
        """Let open commands expire whose deadline has passed; how many."""

    @abstractmethod
    async def unshown(self, limit: int) -> Sequence[Command]:
        """Return commands whose state the entity does not show, in the order of their changes."""

    @abstractmethod
    async def shown(self, commands: Iterable[Command]) -> None:
        """Enter that the entities show these states."""

    @abstractmethod
    async def list(self, wanted: Filter, limit: int, offset: int) -> tuple[int, Sequence[Command]]:
        """Return how many there are, and some, newest first."""

    # who sends

    @abstractmethod
    async def lead(self, holder: str, lease_s: float) -> bool:
        """Take or keep the lease of the one who sends; False while another has it."""

    @abstractmethod
    async def resign(self, holder: str) -> None:
        """Give the lease back."""

    @abstractmethod
    async def latest(self) -> object:
        """Return a sign of the latest change, by whomever: another one means that there has been a change.

        None, or none that is new, does not mean that there has been none: it may be shown already.
        """
