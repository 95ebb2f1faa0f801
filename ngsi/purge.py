"""What a purge does to each entity that it selects (clause 5.6.21)."""

from collections.abc import Collection
from dataclasses import replace

from ngsi.changes import AttributeChange
from ngsi.entity import Entity, dataset
from ngsi.patch import Patched


def delete(entity: Entity | None, now: str) -> Patched:
    """Deletes the entity, if somebody else has not done so."""
    return Patched(None)


def keep_attributes(kept: Collection[str], entity: Entity | None, now: str) -> Patched:
    """Deletes all attributes but these (keys)."""
    return _without([] if entity is None else [key for key in entity.attributes if key not in kept], entity, now)


def drop_attributes(dropped: Collection[str], entity: Entity | None, now: str) -> Patched:
    """Deletes these attributes (keys)."""
    return _without([] if entity is None else [key for key in entity.attributes if key in dropped], entity, now)


def _without(gone: list[str], entity: Entity | None, now: str) -> Patched:
    if entity is None or not gone:
        return Patched(entity)
    changes: list[AttributeChange] = [
        ("deleted", key, dataset(instance)) for key in gone for instance in entity.attributes[key]
    ]
    left = {key: instances for key, instances in entity.attributes.items() if key not in gone}
    return Patched(replace(entity, attributes=left, modified_at=now), changes)
