"""What the broker asks of its storage. One implementation exists (`mongo`); the seam keeps its driver in one place.

Every method raises StorageUnavailable when the storage does not answer in time, and nothing else of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngsi.changes import Change
from ngsi.entity import Entity
from ngsi.errors import NgsiError
from ngsi.query_tree import Node
from ngsi.selection import Alternatives


@dataclass(frozen=True, slots=True)
class EntitySelector:
    """Entities by type, id and pattern of the id (clause 5.2.33): all that is not None; ids win over a pattern."""

    types: Alternatives | None = None
    ids: tuple[str, ...] | None = None
    id_pattern: str | None = None


@dataclass(frozen=True, slots=True)
class EntityQuery:
    """Which entities are wanted: those that meet every condition that is not None (clause 5.7.2).

    `selectors`: an entity meets one of them; empty: any entity does. `attributes`: keys of which an entity has at
    least one. `now` is the present: expired entities are never found.
    """

    now: str
    selectors: tuple[EntitySelector, ...] = ()
    attributes: frozenset[str] | None = None
    q: Node | None = None


@dataclass(slots=True)
class Stored:
    """The state of an entity id: the entity (None: deleted, or never there) and its revision (0: never there)."""

    entity: Entity | None
    rev: int


@dataclass(slots=True)
class Write:
    """One entity's next state (None: deleted), valid only if the stored revision is still `rev`."""

    id: str
    rev: int
    entity: Entity | None
    changes: list[Change]


class EntityStore(ABC):
    """The entities of one tenant."""

    @abstractmethod
    async def read(self, ids: Sequence[str]) -> dict[str, Stored]:
        """The latest acknowledged states of the ids, those never written left out; one round trip."""

    @abstractmethod
    async def write(self, writes: Sequence[Write]) -> dict[int, NgsiError]:
        """Makes the writes durable (majority, journal), each on its own; one round trip, no order between ids.

        What is not in the answer is done. The answer has the index of each write that was not, and why: WriteConflict
        when the stored revision differs, BadRequestData when the state cannot be stored. On StorageUnavailable each
        write may or may not have been done.
        """

    @abstractmethod
    def find(self, query: EntityQuery, *, offset: int, limit: int) -> AsyncIterator[Entity]:
        """The entities that the query wants, ordered by id, from the offset (0 is the first) on."""

    @abstractmethod
    async def find_ids(self, query: EntityQuery, *, after: str = "", limit: int) -> list[str]:
        """The ids of the first entities behind the id `after` that the query wants, in their order."""

    @abstractmethod
    async def count(self, query: EntityQuery) -> int:
        """How many entities the query wants."""


class DocumentStore(ABC):
    """Documents of one tenant under an id: subscriptions, and later registrations."""

    @abstractmethod
    async def insert(self, document: Mapping[str, Any]) -> bool:
        """Stores a new document durably; False if its `_id` is taken."""

    @abstractmethod
    async def get(self, document_id: str) -> dict[str, Any] | None:
        """The document, None if there is none."""

    @abstractmethod
    async def list(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        """A page of the documents in the order of their ids."""

    @abstractmethod
    async def count(self) -> int:
        """How many documents there are."""

    @abstractmethod
    async def delete(self, document_id: str) -> bool:
        """Removes the document; False if there was none."""


class Storage(ABC):
    """All tenants' databases."""

    @abstractmethod
    async def ping(self) -> None:
        """Returns if the storage answers and can be written to."""

    @abstractmethod
    async def has_tenant(self, tenant: str) -> bool:
        """Whether the tenant exists, whichever process created it. The default tenant ("") always does."""

    @abstractmethod
    async def create_tenant(self, tenant: str) -> None:
        """Creates the tenant with its indexes if it is not there; visible in every process when it returns."""

    @abstractmethod
    def entities(self, tenant: str) -> EntityStore:
        """The entities of a tenant."""

    @abstractmethod
    def subscriptions(self, tenant: str) -> DocumentStore:
        """The subscriptions of a tenant."""

    @abstractmethod
    async def close(self) -> None:
        """Ends all connections."""
