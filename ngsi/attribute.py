"""Attributes as clients write them, normalized or concise, read into instances (clauses 4.5.2 to 4.5.24 and 5.2.5).

The instances made here carry no timestamps yet: `ngsi.patch` stamps them when they are applied.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ngsi.context import Context
from ngsi.datetimes import require_datetime, require_expiry
from ngsi.entity import Attributes, Instance, dataset
from ngsi.errors import BadRequestData
from ngsi.geo import is_geometry, require_geometry
from ngsi.names import require_uri, show
from ngsi.vocabulary import (
    NO_DATASET,
    NULL,
    OUTPUT_ONLY_MEMBERS,
    PREVIOUS_MEMBER,
    RESERVED_NAMES,
    VALUE_MEMBER,
    VALUE_MEMBERS,
)

_PROOF_KEY = "ngsi-ld:ngsildproof"
_GEO_KEYS = frozenset({"ngsi-ld:location", "ngsi-ld:observationSpace", "ngsi-ld:operationSpace"})
_PREVIOUS_MEMBERS = frozenset(PREVIOUS_MEMBER.values())
_WITH_UNIT = frozenset({"Property", "GeoProperty", "ListProperty"})

# Which kind a concise attribute without `type` is of, by the value member it has, in the order of clause 4.5.2.3.
_KIND_BY_MEMBER = {
    "object": "Relationship",
    "objectList": "ListRelationship",
    "languageMap": "LanguageProperty",
    "vocab": "VocabProperty",
    "json": "JsonProperty",
    "valueList": "ListProperty",
}


def read_attributes(members: Mapping[str, Any], context: Context, *, nulls: bool = False) -> Attributes:
    """The attributes among the members of an entity (fragment): everything but id, type, scope, timestamps, @context.

    With `nulls`, NGSI-LD Null is legal and makes an instance whose value member is the null marker (`is_deletion`).
    """
    attributes: Attributes = {}
    for name, body in members.items():
        if name in _ENTITY_MEMBERS:
            continue
        if name in RESERVED_NAMES:
            raise BadRequestData(f"{show(name)} is a term of NGSI-LD itself and cannot name an attribute")
        key = context.expand(name)
        if key in attributes:
            raise BadRequestData(f"Attribute {show(name)} stands twice in the entity, under two names of the same IRI")
        attributes[key] = read_instances(name, key, body, context, nulls=nulls)
    return attributes


_ENTITY_MEMBERS = frozenset(
    {"id", "@id", "type", "@type", "scope", "@context", "expiresAt", "createdAt", "modifiedAt", "deletedAt"}
)


def read_instances(name: str, key: str, body: object, context: Context, *, nulls: bool = False) -> list[Instance]:
    """The instances of one attribute: one, or those of an array of attribute objects with different datasetIds."""
    if isinstance(body, list) and body and all(is_attribute_object(item) for item in body):
        instances = [read_instance(name, item, context, nulls=nulls) for item in body]
        datasets = [dataset(instance) for instance in instances]
        if len(set(datasets)) < len(datasets):
            raise BadRequestData(
                f"Attribute {show(name)} has two instances with the same datasetId (or two without one); "
                "give each its own datasetId"
            )
    else:
        instances = [read_instance(name, body, context, nulls=nulls)]
    if key == _PROOF_KEY and not all(_is_proof(instance) or is_deletion(instance) for instance in instances):
        raise BadRequestData(f"Attribute {show(name)} must be a Property whose value is the object of a proof")
    if key in _GEO_KEYS and any(instance["type"] != "GeoProperty" for instance in instances):
        raise BadRequestData(f"Attribute {show(name)} must be a GeoProperty: its value is a GeoJSON geometry")
    return instances


def _is_proof(instance: Instance) -> bool:
    return instance["type"] == "Property" and isinstance(instance["value"], dict)


def is_deletion(instance: Instance) -> bool:
    """Whether an instance read with `nulls` asks for the deletion of its namesake."""
    return bool(instance[VALUE_MEMBER[instance["type"]]] == NULL)


def is_null(value: object) -> bool:
    """Whether a JSON value is NGSI-LD Null in one of its forms (clause 4.5.0)."""
    kind = type(value)
    if kind is str:
        return value == NULL
    return (kind is list and value == [NULL]) or (kind is dict and value == {NO_DATASET: NULL})


def read_instance(name: str, body: object, context: Context, *, nulls: bool = False) -> Instance:
    """One attribute instance from its normalized or concise form; BadRequestData names the attribute and the rule."""
    kind, members = kind_and_members(name, body)
    member = VALUE_MEMBER[kind]
    if member not in members:
        raise BadRequestData(f"Attribute {show(name)}: a {kind} needs the member {member!r}")
    value = members[member]
    if is_null(value):
        if not nulls:
            raise BadRequestData(f"Attribute {show(name)}: {NULL} asks for a deletion, which this operation cannot do")
        value = NULL
    else:
        value = _VALUE_READERS[kind](name, value, context)
    instance: Instance = {"type": kind, member: value}
    attributes: Attributes = {}
    for key, content in members.items():
        if key == member or key == "type" or key == "@type":
            continue
        reader = _METADATA_READERS.get(key)
        if reader is not None:
            reader(name, kind, content, context, instance)
        elif key in OUTPUT_ONLY_MEMBERS:
            continue
        elif key in RESERVED_NAMES:
            raise BadRequestData(f"Attribute {show(name)}: a {kind} cannot have the member {show(key)}")
        else:
            sub_key = context.expand(key)
            attributes[sub_key] = read_instances(f"{name}.{key}", sub_key, content, context, nulls=nulls)
    if attributes:
        instance["attrs"] = attributes
    return instance


def is_attribute_object(item: object) -> bool:
    """Whether a JSON value is an attribute instance, normalized or concise, and no plain value."""
    return isinstance(item, dict) and (
        item.get("type") in VALUE_MEMBER or item.get("@type") in VALUE_MEMBER or not VALUE_MEMBERS.isdisjoint(item)
    )


def kind_and_members(name: str, body: object) -> tuple[str, Mapping[str, Any]]:
    """The kind of an attribute and its members; a bare value becomes {"value": …} (clause 4.5.2.3)."""
    if not isinstance(body, dict):
        if body is None:
            raise BadRequestData(f"Attribute {show(name)} is null; JSON null is no value in NGSI-LD")
        return "Property", {"value": body}
    kind = body.get("type", body.get("@type"))
    if kind is None:
        if "value" in body:
            return ("GeoProperty" if is_geometry(body["value"]) else "Property"), body
        for member, inferred in _KIND_BY_MEMBER.items():
            if member in body:
                return inferred, body
        return "Property", {"value": body}
    if isinstance(kind, str) and kind in VALUE_MEMBER:
        return kind, body
    if is_geometry(body):
        return "GeoProperty", {"value": body}
    raise BadRequestData(
        f"Attribute {show(name)}: type {show(kind)} is no kind of attribute; it is one of {', '.join(VALUE_MEMBER)}"
    )


# Readers of the value member: (attribute name, value, context) → value as held.


def _property_value(name: str, value: Any, context: Context) -> Any:
    if value is None:
        raise BadRequestData(f"Attribute {show(name)} has the value null; JSON null is no value in NGSI-LD")
    if isinstance(value, dict) and _holds_null_marker(value):
        raise BadRequestData(f"Attribute {show(name)}: {NULL} inside a value deletes a key, which only a merge can do")
    return value


def _holds_null_marker(value: Mapping[str, Any]) -> bool:
    return any(item == NULL or (isinstance(item, dict) and _holds_null_marker(item)) for item in value.values())


def _geometry(name: str, value: Any, context: Context) -> Any:
    return require_geometry(value, f"Attribute {show(name)}")


def _object(name: str, value: Any, context: Context) -> Any:
    if isinstance(value, list) and value:
        return [require_uri(item, f"Attribute {show(name)}: object") for item in value]
    return require_uri(value, f"Attribute {show(name)}: object")


def _language_map(name: str, value: Any, context: Context) -> Any:
    if not isinstance(value, dict) or not all(tag and _is_text_or_texts(text) for tag, text in value.items()):
        raise BadRequestData(
            f"Attribute {show(name)}: languageMap {show(value)} must map language tags to strings or arrays of strings"
        )
    return value


def _vocab(name: str, value: Any, context: Context) -> Any:
    if isinstance(value, str) and value:
        return context.expand_iri(value)
    if isinstance(value, list) and value and all(isinstance(item, str) and item for item in value):
        return [context.expand_iri(item) for item in value]
    raise BadRequestData(f"Attribute {show(name)}: vocab {show(value)} must be a term or an array of terms")


def _json(name: str, value: Any, context: Context) -> Any:
    if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        return value
    raise BadRequestData(f"Attribute {show(name)}: json {show(value)} must be an object or an array of objects")


def _value_list(name: str, value: Any, context: Context) -> Any:
    if not isinstance(value, list) or None in value:
        raise BadRequestData(f"Attribute {show(name)}: valueList {show(value)} must be an array without null")
    return value


def _object_list(name: str, value: Any, context: Context) -> Any:
    if not isinstance(value, list):
        raise BadRequestData(f"Attribute {show(name)}: objectList {show(value)} must be an array of URIs")
    uris = [item.get("object") if isinstance(item, dict) else item for item in value]
    return [require_uri(uri, f"Attribute {show(name)}: objectList item") for uri in uris]


def _is_text_or_texts(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


_VALUE_READERS: dict[str, Callable[[str, Any, Context], Any]] = {
    "Property": _property_value,
    "GeoProperty": _geometry,
    "Relationship": _object,
    "LanguageProperty": _language_map,
    "VocabProperty": _vocab,
    "JsonProperty": _json,
    "ListProperty": _value_list,
    "ListRelationship": _object_list,
}


# Readers of the other reserved members: (attribute name, kind, content, context, instance to fill).


def _observed_at(name: str, kind: str, content: Any, context: Context, instance: Instance) -> None:
    instance["observedAt"] = require_datetime(content, f"Attribute {show(name)}: observedAt")


def _expires_at(name: str, kind: str, content: Any, context: Context, instance: Instance) -> None:
    instance["expiresAt"] = require_expiry(content, f"Attribute {show(name)}: expiresAt")


def _unit_code(name: str, kind: str, content: Any, context: Context, instance: Instance) -> None:
    if kind not in _WITH_UNIT or not isinstance(content, str) or not content:
        raise BadRequestData(
            f"Attribute {show(name)}: unitCode {show(content)} must be a UN/CEFACT code such as CEL, on a Property"
        )
    instance["unitCode"] = content


def _dataset_id(name: str, kind: str, content: Any, context: Context, instance: Instance) -> None:
    if content != NO_DATASET:
        instance["datasetId"] = require_uri(content, f"Attribute {show(name)}: datasetId")


def _value_type(name: str, kind: str, content: Any, context: Context, instance: Instance) -> None:
    if not isinstance(content, str) or "Relationship" in kind:
        raise BadRequestData(f"Attribute {show(name)}: valueType {show(content)} must name a datatype, on a Property")
    if kind == "LanguageProperty" and content != "langString":
        raise BadRequestData(f"Attribute {show(name)}: the valueType of a LanguageProperty can only be langString")
    instance["valueType"] = context.expand_iri(content)


def _object_type(name: str, kind: str, content: Any, context: Context, instance: Instance) -> None:
    types = content if isinstance(content, list) else [content]
    if "Relationship" not in kind or not types or not all(isinstance(item, str) for item in types):
        raise BadRequestData(
            f"Attribute {show(name)}: objectType {show(content)} must name the entity types of a Relationship"
        )
    instance["objectType"] = [context.expand(item) for item in types]


def _entity_id_sealed(name: str, kind: str, content: Any, context: Context, instance: Instance) -> None:
    _require_proof(name, "entityIdSealed")
    instance["entityIdSealed"] = require_uri(content, f"Attribute {show(name)}: entityIdSealed")


def _entity_type_sealed(name: str, kind: str, content: Any, context: Context, instance: Instance) -> None:
    _require_proof(name, "entityTypeSealed")
    if not isinstance(content, str):
        raise BadRequestData(f"Attribute {show(name)}: entityTypeSealed {show(content)} must be the name of a type")
    instance["entityTypeSealed"] = context.expand(content)


def _require_proof(name: str, member: str) -> None:
    """The attribute, named by its path, must be the proof that seals what it is an attribute of (clause 4.5.2)."""
    if re.split(r"[./:#]", name)[-1] != "ngsildproof":
        raise BadRequestData(f"Attribute {show(name)}: {member} belongs to ngsildproof only")


_METADATA_READERS: dict[str, Callable[[str, str, Any, Context, Instance], None]] = {
    "observedAt": _observed_at,
    "expiresAt": _expires_at,
    "unitCode": _unit_code,
    "datasetId": _dataset_id,
    "valueType": _value_type,
    "objectType": _object_type,
    "entityIdSealed": _entity_id_sealed,
    "entityTypeSealed": _entity_type_sealed,
}
