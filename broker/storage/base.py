"""What the broker asks of its storage. One implementation exists (`mongo`); the seam keeps its driver in one place.

Every method raises StorageUnavailable when the storage does not answer in time, and nothing else of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.storage.context_store import ContextStore
from broker.storage.delivery_store import DeliveryStore
from ngsi.changes import Change
from ngsi.entity import Entity
from ngsi.errors import NgsiError
from ngsi.geo_query import GeoQuery
from ngsi.ordering import Order
from ngsi.query_tree import Node
from ngsi.scope_query import ScopeQuery
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
    least one. `among`: one of these ids, whatever else is asked for. `now` is the present: expired entities are never
    found.
    """

    now: str
    selectors: tuple[EntitySelector, ...] = ()
    attributes: frozenset[str] | None = None
    q: Node | None = None
    geo: GeoQuery | None = None
    scopes: ScopeQuery | None = None
    order: Order | None = None
    among: tuple[str, ...] | None = None


@dataclass(slots=True)
class Stored:
    """The state of an entity id: the entity (None: deleted, or never there) and its revision (0: never there).

    `due`: when it or a part of it expires (`ngsi.expiry.due`). What has expired may still be in it.
    """

    entity: Entity | None
    rev: int
    due: str | None = None


@dataclass(slots=True)
class Write:
    """One entity's next state (None: deleted), valid only if the stored revision is still `rev`."""

    id: str
    rev: int
    entity: Entity | None
    changes: list[Change]
    due: str | None = None


@dataclass(frozen=True, slots=True)
class TypeProfile:
    """The entities of a type: how many there are, and of which kinds their attributes are, by key, in their order."""

    count: int
    attributes: dict[str, list[str]]


Guard = Callable[[], Awaitable[None]]
"""Raises an NgsiError if the tenant may not be written to (any more)."""


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant in the list of all. `is_leaving`: its deletion has begun and was not finished."""

    name: str
    created_at: str | None
    is_leaving: bool


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
    async def last_changes(self, entity_id: str) -> list[tuple[Entity, Change]]:
        """What the last write of an entity did, as `ngsi.changes.unroll` gives it; empty if it was never there."""

    @abstractmethod
    def find(self, query: EntityQuery, *, offset: int, limit: int) -> AsyncGenerator[Entity]:
        """The entities that the query wants, in its order or by id, from the offset (0 is the first) on.

        Who leaves off before the end closes the generator, so that the storage is not asked to keep its place.
        """

    @abstractmethod
    async def find_ids(self, query: EntityQuery, *, after: str = "", limit: int) -> list[str]:
        """The ids of the first entities behind the id `after` that the query wants, in their order."""

    @abstractmethod
    async def count(self, query: EntityQuery) -> int:
        """How many entities the query wants."""

    @abstractmethod
    async def types(self, now: str) -> list[str]:
        """The keys of the types that entities have, in their order."""

    @abstractmethod
    async def describe_type(self, key: str, now: str) -> TypeProfile | None:
        """What there is of a type, None if no entity has it. Raises TooComplexQuery where that takes too long."""

    @abstractmethod
    async def find_due(self, now: str, *, limit: int) -> list[str]:
        """The ids of entities that have expired, or a part of which has, the longest overdue first."""


class DocumentStore(ABC):
    """Documents of one tenant under an id: subscriptions, and later registrations."""

    @abstractmethod
    async def insert(self, document: Mapping[str, Any]) -> bool:
        """Stores a new document durably; False if its `_id` is taken."""

    @abstractmethod
    async def get(self, document_id: str) -> dict[str, Any] | None:
        """The document, None if there is none."""

    @abstractmethod
    async def update(self, document_id: str, members: Mapping[str, Any], *, if_modified_at: str) -> bool:
        """Sets top-level members durably (None removes one), if the document's `modifiedAt` is still that one.

        False if it is not, or the document is gone. Other members stay as they are at that moment.
        """

    @abstractmethod
    def find(self, *, offset: int, limit: int) -> AsyncGenerator[dict[str, Any]]:
        """The documents in the order of their ids, from the offset on. Who leaves off early closes the generator."""

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
    async def incarnation(self, tenant: str) -> str | None:
        """What tells this tenant from an earlier one of the same name; None if it does not exist or is leaving."""

    @abstractmethod
    async def create_tenant(self, tenant: str, now: str) -> str:
        """Creates the tenant with its indexes if it is not there; visible in every process when it returns.

        Gives its incarnation. Raises TenantLeaving while an earlier tenant of the name is being deleted.
        """

    @abstractmethod
    async def tenants(self) -> list[TenantRecord]:
        """All tenants but the default one, in the order of their names."""

    @abstractmethod
    async def mark_leaving(self, tenant: str) -> bool:
        """First half of a deletion: whoever asks from now on finds no such tenant. False if there is none."""

    @abstractmethod
    async def remove_tenant(self, tenant: str) -> None:
        """Second half: removes all that the tenant has. Nobody may write to it any more."""

    @abstractmethod
    async def contexts_named(self, tenant: str) -> set[str]:
        """The URLs in the @contexts that a tenant's subscriptions are read and shown with, those of `@import` too."""

    @abstractmethod
    async def hold(self, work: str, holder: str, for_s: float) -> bool:
        """Takes or prolongs the lease on a work that one process is enough for; False while another holder has it."""

    @abstractmethod
    async def alias(self) -> str:
        """The name of this deployment, the same for all its processes and for ever (clause 5.2.40)."""

    @abstractmethod
    def entities(self, tenant: str, guard: Guard | None = None) -> EntityStore:
        """The entities of a tenant; `guard` is awaited before each write and may refuse it."""

    @abstractmethod
    def subscriptions(self, tenant: str, guard: Guard | None = None) -> DocumentStore:
        """The subscriptions of a tenant; `guard` as above."""

    @abstractmethod
    def entity_maps(self, tenant: str, guard: Guard | None = None) -> DocumentStore:
        """The entity maps of a tenant; documents whose date `gone` has passed disappear by and by. `guard` as above."""

    @abstractmethod
    def deliveries(self, tenant: str) -> DeliveryStore:
        """The notifications of a tenant that are stored."""

    @abstractmethod
    def contexts(self) -> ContextStore:
        """The @contexts of all tenants."""

    @abstractmethod
    async def close(self) -> None:
        """Ends all connections."""
