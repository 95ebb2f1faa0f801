"""Which subscriptions a change concerns: an index by tenant, entity id, type, idPattern and watched attribute.

The cost of a change grows with the subscriptions that its index entries hold, not with those that exist. Adding and
removing a subscription costs its own entries only, so the index is changed in place; a match runs without awaiting and
so never sees a change half made.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from broker.notify.condition import Condition
from broker.notify.entries import Entries, collect, enter, strike
from broker.notify.id_patterns import IdPatterns
from ngsi import selection
from ngsi.changes import Change
from ngsi.entity import Entity
from ngsi.pattern import parse as parse_pattern
from ngsi.subscription import DEFAULT_TRIGGERS

ENTITY_CREATED, ENTITY_DELETED, ATTRIBUTE_CREATED, ATTRIBUTE_UPDATED, ATTRIBUTE_DELETED = 1, 2, 4, 8, 16
_TRIGGER_BITS: Final = {
    "entityCreated": ENTITY_CREATED,
    "entityDeleted": ENTITY_DELETED,
    "entityUpdated": ATTRIBUTE_CREATED | ATTRIBUTE_UPDATED | ATTRIBUTE_DELETED,
    "attributeCreated": ATTRIBUTE_CREATED,
    "attributeUpdated": ATTRIBUTE_UPDATED,
    "attributeDeleted": ATTRIBUTE_DELETED,
}
_ATTRIBUTE_BITS: Final = {"created": ATTRIBUTE_CREATED, "updated": ATTRIBUTE_UPDATED, "deleted": ATTRIBUTE_DELETED}
_ANY_TYPE = ""
_FEW = 4
_SHARED_MAX = 10_000
"""Type selections and sets of attributes that many subscriptions have in common are held once."""


@dataclass(slots=True)
class Selector:
    """One EntitySelector (clause 5.2.33): ids win over the pattern, which is held as the client wrote it."""

    types: selection.Alternatives
    ids: Collection[str] | None = None
    pattern: str | None = None

    def selects(self, entity: Entity) -> bool:
        """Whether the entity is one of those."""
        if not selection.selects(self.types, entity.types):
            return False
        if self.ids is not None:
            return entity.id in self.ids
        return self.pattern is None or parse_pattern(self.pattern).search(entity.id)


@dataclass(slots=True, eq=False)
class Criteria:
    """What a subscription waits for. `triggers` is a sum of the bits above; times are system timestamps.

    `since`: changes before this moment are not told; None once the feed itself has shown the subscription's creation.
    """

    tenant: str
    subscription: str
    selectors: tuple[Selector, ...]
    watched: frozenset[str] | None
    triggers: int
    condition: Condition | None = None
    expires_at: str | None = None
    since: str | None = None

    def accept(self, entity: Entity, happened: "Happened") -> bool:
        """Every test of the match but those that the index has made, and what q says of linked entities."""
        if self.expires_at is not None and self.expires_at <= happened.at:
            return False
        if self.since is not None and self.since > happened.at:
            return False
        if not self.triggers & happened.to_attributes(self.watched):
            return False
        if self.selectors and not any(selector.selects(entity) for selector in self.selectors):
            return False
        return self.condition is None or self.condition(entity)


class Happened:
    """What a change did, as bits: to the entity as a whole (`all`) and to each attribute."""

    __slots__ = ("all", "at", "attributes")

    def __init__(self, entity: Entity, change: Change) -> None:
        self.at = change.at
        self.attributes: dict[str, int] = {}
        if change.event == "updated":
            self.all = 0
            for event, key, _ in change.attributes:
                bit = _ATTRIBUTE_BITS[event]
                self.attributes[key] = self.attributes.get(key, 0) | bit
                self.all |= bit
            return
        whole, each = (
            (ENTITY_CREATED, ATTRIBUTE_CREATED) if change.event == "created" else (ENTITY_DELETED, ATTRIBUTE_DELETED)
        )
        self.attributes = dict.fromkeys(entity.attributes, whole | each)
        self.all = whole | each if self.attributes else whole

    def to_attributes(self, watched: frozenset[str] | None) -> int:
        """The bits of the watched attributes, of all when None."""
        if watched is None:
            return self.all
        bits = 0
        for key, own in self.attributes.items():
            if key in watched:
                bits |= own
        return bits


class _TenantIndex:
    def __init__(self) -> None:
        self._by_id: Entries[Criteria] = {}
        self._by_type: Entries[Criteria] = {}
        self._patterns: dict[str, IdPatterns[Criteria]] = {}

    def add(self, criteria: Criteria) -> None:
        if not criteria.selectors:
            enter(self._by_type, _ANY_TYPE, criteria)
        for selector in criteria.selectors:
            for entity_id in selector.ids or ():
                enter(self._by_id, entity_id, criteria)
            if selector.ids is not None:
                continue
            for type_key in _index_types(selector):
                if selector.pattern is not None:
                    self._patterns.setdefault(type_key, IdPatterns()).add(selector.pattern, criteria)
                else:
                    enter(self._by_type, type_key, criteria)

    def remove(self, criteria: Criteria) -> None:
        if not criteria.selectors:
            strike(self._by_type, _ANY_TYPE, criteria)
        for selector in criteria.selectors:
            for entity_id in selector.ids or ():
                strike(self._by_id, entity_id, criteria)
            if selector.ids is not None:
                continue
            for type_key in _index_types(selector):
                if selector.pattern is None:
                    strike(self._by_type, type_key, criteria)
                elif type_key in self._patterns and self._patterns[type_key].remove(selector.pattern, criteria):
                    del self._patterns[type_key]

    def has(self, entity_id: str, types: Iterable[str]) -> bool:
        """Whether anybody waits for the entity's id, one of its types, or any type."""
        return (
            entity_id in self._by_id
            or _ANY_TYPE in self._by_type
            or _ANY_TYPE in self._patterns
            or not self._by_type.keys().isdisjoint(types)
            or not self._patterns.keys().isdisjoint(types)
        )

    def candidates(self, entity: Entity, attributes: Iterable[str]) -> dict[Criteria, None]:
        found: dict[Criteria, None] = {}
        collect(self._by_id.get(entity.id), attributes, found)
        for type_key in (*entity.types, _ANY_TYPE):
            collect(self._by_type.get(type_key), attributes, found)
            if (patterns := self._patterns.get(type_key)) is not None:
                for entry in patterns.entries(entity.id):
                    collect(entry, attributes, found)
        return found


class Matcher:
    """The index of all active subscriptions. `evaluated_count` counts the candidates that had to be looked at."""

    def __init__(self) -> None:
        self._criteria: dict[tuple[str, str], Criteria] = {}
        self._tenants: dict[str, _TenantIndex] = {}
        self.evaluated_count = 0

    def __len__(self) -> int:
        return len(self._criteria)

    def put(self, criteria: Criteria) -> None:
        """Adds a subscription, in place of its former version if there is one."""
        self.remove(criteria.tenant, criteria.subscription)
        self._criteria[criteria.tenant, criteria.subscription] = criteria
        self._tenants.setdefault(criteria.tenant, _TenantIndex()).add(criteria)

    def remove(self, tenant: str, subscription: str) -> None:
        """Takes a subscription out, if it is there."""
        criteria = self._criteria.pop((tenant, subscription), None)
        if criteria is not None:
            self._tenants[tenant].remove(criteria)

    def may_concern(self, tenant: str, entity_id: str, types: Iterable[str]) -> bool:
        """Whether a change of an entity of these types has to be looked at; a cheap question, before it is read."""
        index = self._tenants.get(tenant)
        return index is not None and index.has(entity_id, types)

    def match(self, tenant: str, entity: Entity, change: Change) -> list[Criteria]:
        """The subscriptions that this change of this entity is to be told to.

        One whose condition `is_linked` has still to be asked what it says of linked entities.
        """
        index = self._tenants.get(tenant)
        if index is None:
            return []
        happened = Happened(entity, change)
        candidates = index.candidates(entity, happened.attributes)
        self.evaluated_count += len(candidates)
        return [criteria for criteria in candidates if criteria.accept(entity, happened)]


def triggers(names: Iterable[str] | None) -> int:
    """The bits of a notificationTrigger, of the default one for None."""
    bits = 0
    for name in DEFAULT_TRIGGERS if names is None else names:
        bits |= _TRIGGER_BITS[name]
    return bits


@lru_cache(_SHARED_MAX)
def attributes(names: tuple[str, ...]) -> frozenset[str]:
    """A set of attributes, the same object for all who ask for the same."""
    return frozenset(names)


def selectors(members: Mapping[str, Any]) -> tuple[Selector, ...]:
    """The entity selectors of a stored subscription."""
    return tuple(_selector(item) for item in members.get("entities", []))


def _selector(item: Mapping[str, Any]) -> Selector:
    types = _alternatives(item["type"])
    ids = item.get("id")
    if ids is not None:
        # A set of one takes four times as much memory.
        return Selector(types, (ids,) if isinstance(ids, str) else tuple(ids) if len(ids) <= _FEW else frozenset(ids))
    return Selector(types, None, item.get("idPattern"))


@lru_cache(_SHARED_MAX)
def _alternatives(text: str) -> selection.Alternatives:
    return selection.alternatives(text)


def _index_types(selector: Selector) -> set[str]:
    """The types to file a selector under: one of each alternative, which an entity it selects must have."""
    return {min(names, default=_ANY_TYPE) for names in selector.types}
