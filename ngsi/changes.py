"""What happened to an entity: the changes that one stored document carries, and the states in between.

Several requests for one entity can end in one write. The document then holds the last state and a `Change` for each
request, in order; a change that has predecessors keeps what it overwrote, so that every state can be had back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ngsi.entity import Attributes, Entity, Instance, dataset
from ngsi.vocabulary import NO_DATASET, VALUE_MEMBER

Event = Literal["created", "updated", "deleted"]

AttributeChange = tuple[Event, str, str]
"""What happened to which attribute (key) and which instance of it (datasetId or `@none`)."""


@dataclass(slots=True)
class Before:
    """What a change overwrote. `attributes` has the former instances by key, None where there was no such attribute."""

    attributes: dict[str, list[Instance] | None]
    types: list[str]
    scopes: list[str]
    modified_at: str
    created_at: str
    expires_at: str | None


@dataclass(slots=True)
class Change:
    """One request's effect on one entity.

    `request` names the API request (the same for all entities of a batch), `at` is the entity's modifiedAt after it.
    `attributes` is filled for updates only: a creation created all, a deletion deleted all. `previous` has for each
    instance that was updated, in their order, the value it had, as {value member: value}; it is empty where `before`
    tells the same. `parts`: how many changes the request made, as far as was known when this one was written; never
    too few unless another process interfered.
    """

    request: str
    at: str
    event: Event
    attributes: list[AttributeChange] = field(default_factory=list)
    before: Before | None = None
    previous: list[dict[str, Any]] = field(default_factory=list)
    parts: int = 1

    def former(self, key: str, dataset_id: str) -> Instance | None:
        """The instance that was updated or deleted: its value at least, all of it where `before` has it."""
        if self.before is not None:
            instances = self.before.attributes.get(key) or ()
            return next((item for item in instances if dataset(item) == dataset_id), None)
        updated = [(name, which) for event, name, which in self.attributes if event == "updated"]
        return next(
            (value for place, value in zip(updated, self.previous, strict=False) if place == (key, dataset_id)),
            None,
        )


def overwritten_values(old: Entity, changes: Iterable[AttributeChange]) -> list[dict[str, Any]]:
    """What `Change.previous` has for an entity's state before these changes."""
    return [_value(old.attributes[key], dataset_id) for event, key, dataset_id in changes if event == "updated"]


def _value(instances: list[Instance], dataset_id: str) -> dict[str, Any]:
    for instance in instances:
        if instance.get("datasetId", NO_DATASET) == dataset_id:
            member = VALUE_MEMBER[instance["type"]]
            return {member: instance[member]}
    raise ValueError(f"an instance that was updated was there before: {dataset_id}")


def unroll(entity_id: str, entity: Entity | None, changes: Iterable[Change]) -> list[tuple[Entity, Change]]:
    """The entity after each change, oldest first; for a deletion the entity as it was before it.

    `entity` is the last state, None when the last change is a deletion. Every change but the first must have `before`,
    and so must every deletion.
    """
    states: list[tuple[Entity, Change]] = []
    state = entity
    for change in reversed(list(changes)):
        before = change.before
        if change.event == "deleted":
            if before is None:
                raise ValueError("a deletion carries the entity it removed")
            state = Entity(entity_id, before.types, before.created_at, before.modified_at, scopes=before.scopes)
            state.expires_at = before.expires_at
            state.attributes = _restored({}, before.attributes)
            states.append((state, change))
            continue
        if state is None:
            raise ValueError("a change after which the entity exists needs its state")
        states.append((state, change))
        if before is None or change.event == "created":
            state = None
        else:
            state = replace(
                state,
                types=before.types,
                scopes=before.scopes,
                modified_at=before.modified_at,
                expires_at=before.expires_at,
                attributes=_restored(state.attributes, before.attributes),
            )
    return states[::-1]


def _restored(attributes: Attributes, before: dict[str, list[Instance] | None]) -> Attributes:
    restored: dict[str, Any] = {**attributes, **before}
    return {key: instances for key, instances in restored.items() if instances is not None}
