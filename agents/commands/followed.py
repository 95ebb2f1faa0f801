"""Devices that follow their configuration: what is kept of them, shared by all agents.

Every method raises `StoreUnavailable` when the database does not answer; writes are durable when they return.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from agents.commands.command import Line
from agents.commands.store import Kind


class Followed(NamedTuple):
    """Attributes of an entity that a device is told whenever one of them changes. No names: it wants no more."""

    id: str
    """Of the subscription at the context broker."""
    line: Line
    kind: Kind
    entity_id: str
    names: Sequence[str]
    address: str = ""
    """Where the notifications of the subscription go, as the context broker has it; empty: it has none just so."""
    revision: int = 0
    """Counts the reasons to tell the device."""
    attempts_count: int = 0
    """How often the device could not be told since it was told last."""


class FollowedStore(ABC):
    """See the module."""

    @abstractmethod
    async def prepare(self) -> None:
        """Make sure that there are indexes."""

    @abstractmethod
    async def enter(self, followed: Followed, now: datetime, until: datetime) -> None:
        """Put this in the place of what was known under its id; the device is to be told now."""

    @abstractmethod
    async def of(self, line: Line) -> Sequence[Followed]:
        """Return what a device follows."""

    @abstractmethod
    async def changed(self, id_: str, now: datetime, until: datetime) -> bool:
        """Enter that a device is to be told: now, or as soon as it can be before `until`; False: it is not known."""

    @abstractmethod
    async def due(self, now: datetime, busy: Collection[str], limit: int) -> Sequence[str]:
        """Return the ids of those whose device is to be told now, but for the `busy` ones."""

    @abstractmethod
    async def claim(self, id_: str, now: datetime, busy_until: datetime) -> Followed | None:
        """Begin to tell a device, which no other agent does until then; None when it is not to be told now."""

    @abstractmethod
    async def made(self, followed: Followed, address: str) -> None:
        """Enter that the context broker has the subscription, if it is still wanted so."""

    @abstractmethod
    async def elsewhere(self, notify_url: str, now: datetime, until: datetime) -> None:
        """Enter that devices are to be told whose notifications go to another agent: it may be gone."""

    @abstractmethod
    async def told(self, followed: Followed, next_at: datetime | None) -> bool:
        """End what `claim` began: it is told again at `next_at`, unless too late by then; None: it has been told.

        False when there is a new reason to tell it.
        """

    @abstractmethod
    async def remove(self, followed: Followed) -> None:
        """Forget it, unless it has been entered anew."""
