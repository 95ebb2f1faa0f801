"""Entities as an earlier version of the standard knew them (clause 4.3.6.8): what it had no notion of is left out or
shown as something that it had.

| since | what                                      | before                                                |
| 1.9   | expiresAt, valueType                      | left out                                              |
| 1.8   | VocabProperty, JsonProperty, ListProperty | a Property with their value                           |
|       | ListRelationship                          | a Relationship                                        |
|       | objectType                                | left out                                              |
| 1.4   | scope                                     | left out                                              |
|       | LanguageProperty                          | a Property with its languageMap as value              |
| 1.3   | datasetId, observedAt, unitCode           | left out                                              |
|       | several instances, several types          | the default instance, the first type                  |
"""

import re
from dataclasses import replace

from ngsi.context import Context
from ngsi.entity import Attributes, Entity, Instance
from ngsi.errors import BadRequestData
from ngsi.names import show
from ngsi.vocabulary import VALUE_MEMBER

Version = tuple[int, int]

_PREFERENCE = re.compile(r"ngsi-ld\s*=\s*\"?([0-9]{1,3})\.([0-9]{1,3})(?:\.[0-9]{1,3})?\"?\s*(?:;.*)?", re.IGNORECASE)
_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})(?:\.[0-9]{1,3})?")
_NEWEST: Version = (1, 9)


def preferred_version(prefer: str) -> Version | None:
    """The version that a Prefer header (RFC 7240) asks for among its preferences; None if it is silent about it."""
    for preference in prefer.split(","):
        found = _PREFERENCE.fullmatch(preference.strip())
        if found is not None:
            return int(found[1]), int(found[2])
    return None


def require_version(text: object, what: str) -> Version:
    """The version that a text such as 1.6 or 1.6.1 names; BadRequestData otherwise."""
    found = _VERSION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadRequestData(f"{what} {show(text)} is no version of NGSI-LD; write one such as 1.6 or 1.8.1")
    return int(found[1]), int(found[2])


def conformed(entity: Entity, version: Version, context: Context) -> Entity:
    """The entity as a client of that version can read it. `context` has the names for vocabulary terms."""
    if version >= _NEWEST:
        return entity
    return replace(
        entity,
        types=entity.types[:1] if version < (1, 3) else entity.types,
        scopes=[] if version < (1, 4) else entity.scopes,
        expires_at=None,
        attributes=_attributes(entity.attributes, version, context),
    )


def _attributes(attributes: Attributes, version: Version, context: Context) -> Attributes:
    conformed: Attributes = {}
    for key, instances in attributes.items():
        kept = instances
        if version < (1, 3) and len(instances) > 1:
            kept = [instance for instance in instances if "datasetId" not in instance] or instances[:1]
        conformed[key] = [_instance(instance, version, context) for instance in kept]
    return conformed


def _instance(instance: Instance, version: Version, context: Context) -> Instance:
    kind = instance["type"]
    shown = {member: content for member, content in instance.items() if member not in _unknown_members(version)}
    if "attrs" in shown:
        shown["attrs"] = _attributes(shown["attrs"], version, context)
    earlier = _earlier_kind(kind, version)
    if earlier != kind:
        value = shown.pop(VALUE_MEMBER[kind])
        if kind == "VocabProperty":
            value = (
                [context.compact_iri(iri) for iri in value] if isinstance(value, list) else context.compact_iri(value)
            )
        shown |= {"type": earlier, VALUE_MEMBER[earlier]: value}
    return shown


def _unknown_members(version: Version) -> set[str]:
    unknown = {"expiresAt", "valueType"}
    if version < (1, 8):
        unknown.add("objectType")
    if version < (1, 3):
        unknown |= {"datasetId", "observedAt", "unitCode"}
    return unknown


def _earlier_kind(kind: str, version: Version) -> str:
    if version < (1, 8) and kind in ("VocabProperty", "JsonProperty", "ListProperty"):
        return "Property"
    if version < (1, 8) and kind == "ListRelationship":
        return "Relationship"
    if version < (1, 4) and kind == "LanguageProperty":
        return "Property"
    return kind
