"""The provisioned registry, as seen from the agent."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Literal, NamedTuple

ShelfName = Literal["groups", "devices"]


class Identity(NamedTuple):
    """What a record is found by. `name`: the id of a device, or the resource of a group."""

    service: str
    servicepath: str
    apikey: str
    name: str


class Record(NamedTuple):
    """A group or a device: its identity, and its body as the JSON text of what was provisioned."""

    identity: Identity
    body: str


class Change(NamedTuple):
    """A record that came or changed, or (`record` None) went."""

    shelf: ShelfName
    identity: Identity
    record: Record | None


class Snapshot(NamedTuple):
    """Everything there is."""

    groups: Sequence[Record]
    devices: Sequence[Record]


class Shelf(ABC):
    """The groups, or the devices. Every method raises `StoreUnavailable` when the database does not answer.

    Writes are durable when they return. A group is unique by (resource, apikey), a device by its whole identity.
    """

    @abstractmethod
    async def insert(self, record: Record) -> bool:
        """Enter a record; False when there already is one of the same key."""

    @abstractmethod
    async def insert_new(self, records: Sequence[Record]) -> Sequence[Record]:
        """Enter those of the records whose key is not there, and return them."""

    @abstractmethod
    async def replace(self, former: Record, record: Record) -> bool:
        """Put a record into another's place; False when that one has changed, or gone, in the meantime."""

    @abstractmethod
    async def delete(self, identity: Identity) -> bool:
        """Remove a record; False when there is none."""

    @abstractmethod
    async def find(
        self,
        *,
        service: str | None = None,
        servicepath: str | None = None,
        apikey: str | None = None,
        name: str | None = None,
        limit: int = 0,
        offset: int = 0,
    ) -> tuple[int, list[Record]]:
        """Return how many there are and those from `offset` on (`limit` 0: all), in the order in which they came."""


class ProvisioningStore(ABC):
    """Groups and devices, shared by all agents."""

    groups: Shelf
    devices: Shelf

    @abstractmethod
    async def look_up(self, keys: Collection[tuple[str, str]]) -> Snapshot:
        """Return the devices of these (apikey, id), with or without the apikey, and the groups of these apikeys."""

    @abstractmethod
    async def follow(self, load: Callable[[Snapshot], None], change: Callable[[Change], None]) -> None:
        """Call `load` with everything, then `change` for each change by anybody, in order; for ever.

        `load` is called again when changes may have been missed. While the database is away it waits.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""

    trouble: str | None = "not read yet"
    """Why the changes are not followed at the moment; None while they are."""
