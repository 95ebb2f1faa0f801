"""An entity as the broker holds it: names as keys (`ngsi.names`), every attribute a list of instances (clause 4.5)."""

from dataclasses import dataclass, field
from typing import Any

from ngsi.vocabulary import NO_DATASET

Instance = dict[str, Any]
"""One instance of an attribute, normalized: `type` (the kind), the value member of that kind
(`ngsi.vocabulary.VALUE_MEMBER`), and where given `datasetId`, `observedAt`, `unitCode`, `expiresAt`, `valueType`,
`objectType`; always `createdAt` and `modifiedAt`; sub-attributes under `attrs`, shaped like those of an entity.
`objectList` is a plain list of URIs, `vocab` holds IRIs, `objectType` keys."""

Attributes = dict[str, list[Instance]]
"""Attribute key → its instances; never an empty list, at most one instance for a datasetId."""


@dataclass(slots=True)
class Entity:
    """One entity. Times are DateTime texts; `types` are keys; `scopes` as the client wrote them.

    Instances are shared between states of an entity and never changed in place: an update makes a new one.
    """

    id: str
    types: list[str]
    created_at: str
    modified_at: str
    attributes: Attributes = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)
    expires_at: str | None = None


def dataset(instance: Instance) -> str:
    """The datasetId of an instance, `@none` for the default instance."""
    return str(instance.get("datasetId", NO_DATASET))
