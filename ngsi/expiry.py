"""Transient entities and attributes (clauses 4.5.1, 4.22): what is past its expiresAt is gone, though still stored.

An entity is held with its *due* time, the first at which it or a part of it expires, as a system timestamp. So
whoever reads an entity compares two texts, and looks into it only when something has expired. The broker's reaper
writes the loss down; until then everybody leaves out what is gone.
"""

from dataclasses import replace

from ngsi.changes import AttributeChange
from ngsi.datetimes import fixed
from ngsi.entity import Attributes, Entity, Instance, dataset
from ngsi.patch import Patched


def due(entity: Entity) -> str | None:
    """The first moment at which the entity or a part of it expires; None if nothing of it does."""
    moments = [] if entity.expires_at is None else [entity.expires_at]
    _collect(entity.attributes, moments)
    return min(map(fixed, moments)) if moments else None


def living(entity: Entity, now: str) -> Entity | None:
    """What of the entity has not expired; None if the entity itself has."""
    if entity.expires_at is not None and fixed(entity.expires_at) <= now:
        return None
    return replace(entity, attributes=_living(entity.attributes, now))


def expire(entity: Entity, now: str) -> Patched:
    """The deletion of what has expired, as a write like any other; nothing changes if nothing has."""
    left = living(entity, now)
    if left is None:
        return Patched(None)
    changes: list[AttributeChange] = []
    for key, instances in entity.attributes.items():
        kept = {dataset(instance): instance for instance in left.attributes.get(key, ())}
        for instance in instances:
            if dataset(instance) not in kept:
                changes.append(("deleted", key, dataset(instance)))
            elif kept[dataset(instance)] is not instance:
                changes.append(("updated", key, dataset(instance)))
    return Patched(replace(left, modified_at=now), changes) if changes else Patched(entity)


def _collect(attributes: Attributes, into: list[str]) -> None:
    for instances in attributes.values():
        for instance in instances:
            if "expiresAt" in instance:
                into.append(instance["expiresAt"])
            if "attrs" in instance:
                _collect(instance["attrs"], into)


def _living(attributes: Attributes, now: str) -> Attributes:
    kept: Attributes = {}
    for key, instances in attributes.items():
        left = [_living_instance(item, now) for item in instances if not _has_expired(item, now)]
        if left:
            kept[key] = left
    return kept


def _living_instance(instance: Instance, now: str) -> Instance:
    """The instance itself if nothing inside it has expired."""
    if "attrs" not in instance:
        return instance
    left = _living(instance["attrs"], now)
    if left == instance["attrs"]:
        return instance
    kept = {**instance, "attrs": left}
    if not left:
        del kept["attrs"]
    return kept


def _has_expired(instance: Instance, now: str) -> bool:
    return "expiresAt" in instance and fixed(instance["expiresAt"]) <= now
