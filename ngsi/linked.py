"""Linked entities: what a Relationship points to, and how it is shown inside the entity (clause 4.5.23)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ngsi.entity import Entity, Instance
from ngsi.projection import Projection

JOIN_LEVEL_MAX = 10
"""How many links away linked entities are shown."""

Shown = dict[str, Any]


def objects(instance: Instance) -> list[str]:
    """The ids that an instance points to, in their order; none if it is no Relationship."""
    kind = instance["type"]
    if kind == "ListRelationship":
        return list(instance["objectList"])
    if kind != "Relationship":
        return []
    found = instance["object"]
    return list(found) if isinstance(found, list) else [found]


def targets(entity: Entity, projection: Projection) -> Iterator[tuple[str, Projection]]:
    """The ids that the shown attributes point to, each with what is wanted of the entity there."""
    for key, instances in entity.attributes.items():
        if projection.shows(key):
            for instance in instances:
                for linked_id in objects(instance):
                    yield linked_id, projection.linked(key)


def embedded(
    entity: Entity, projection: Projection, show: Callable[[str, Projection], Shown | None], *, simplified: bool
) -> Entity:
    """The entity with the linked ones in its Relationships, as far as `show` has them (id, projection) → shown.

    They stand beside the ids, as `entity` or `entityList`, and in their place when simplified.
    """
    attributes = {
        key: [_embedding(instance, projection.linked(key), show, simplified) for instance in instances]
        for key, instances in entity.attributes.items()
    }
    return replace(entity, attributes=attributes)


def _embedding(
    instance: Instance, projection: Projection, show: Callable[[str, Projection], Shown | None], simplified: bool
) -> Instance:
    ids = objects(instance)
    found = {linked_id: shown for linked_id in ids if (shown := show(linked_id, projection)) is not None}
    if not found:
        return instance
    is_list = instance["type"] == "ListRelationship"
    is_single = not is_list and isinstance(instance["object"], str)
    if simplified:
        places: list[Any] = [found.get(linked_id, linked_id) for linked_id in ids]
        return {**instance, "objectList" if is_list else "object": places[0] if is_single else places}
    entities = [found[linked_id] for linked_id in ids if linked_id in found]
    return {**instance, "entityList" if is_list else "entity": entities[0] if is_single else entities}
