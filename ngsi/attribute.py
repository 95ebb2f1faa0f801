"""Attributes as clients write them, normalized or concise, read into instances (clauses 4.5.2 to 4.5.24 and 5.2.5).

The instances made here carry no timestamps yet: `ngsi.patch` stamps them when they are applied.
"""

from collections.abc import Mapping
from typing import Any

from ngsi.attribute_members import METADATA_READERS, VALUE_READERS
from ngsi.context import CORE, Context
from ngsi.entity import Attributes, Instance, dataset
from ngsi.errors import BadRequestData
from ngsi.geo import is_geometry
from ngsi.names import show
from ngsi.vocabulary import (
    INNER_RESERVED_NAMES,
    KEYWORDS,
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

# Which kind a concise attribute without `type` is of, by the value member it has, in the order of clause 4.5.2.3.
_KIND_BY_MEMBER = {
    "object": "Relationship",
    "objectList": "ListRelationship",
    "languageMap": "LanguageProperty",
    "vocab": "VocabProperty",
    "json": "JsonProperty",
    "valueList": "ListProperty",
}


# The same terms by their IRIs: an alias, or the IRI itself, would be shown as the member that it is not.
_RESERVED_KEYS = frozenset(CORE.expand(name) for name in RESERVED_NAMES - KEYWORDS) | {"ngsi-ld:scope"}
_INNER_RESERVED_KEYS = frozenset(CORE.expand(name) for name in INNER_RESERVED_NAMES - KEYWORDS)


def read_attributes(members: Mapping[str, Any], context: Context, *, nulls: bool = False) -> Attributes:
    """The attributes among the members of an entity (fragment): everything but id, type, scope, timestamps, @context.

    With `nulls`, NGSI-LD Null is legal and makes an instance whose value member is the null marker (`is_deletion`).
    """
    attributes: Attributes = {}
    for name, body in members.items():
        if name in ENTITY_MEMBERS:
            continue
        key = attribute_key(name, context)
        if key in attributes:
            raise BadRequestData(f"Attribute {show(name)} stands twice in the entity, under two names of the same IRI")
        attributes[key] = read_instances(name, key, body, context, nulls=nulls)
    return attributes


ENTITY_MEMBERS = frozenset(
    {"id", "@id", "type", "@type", "scope", "@context", "expiresAt", "createdAt", "modifiedAt", "deletedAt"}
)
"""Members of an entity that are no attributes."""


def attribute_key(name: str, context: Context) -> str:
    """The key of an attribute of an entity; BadRequestData for a name that none can have."""
    key = name if name in RESERVED_NAMES else context.expand(name)
    if name in RESERVED_NAMES or key in _RESERVED_KEYS:
        raise BadRequestData(f"{show(name)} is a term of NGSI-LD itself and cannot name an attribute")
    return key


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
    require_fitting(name, key, instances)
    return instances


def require_fitting(name: str, key: str, instances: list[Instance]) -> None:
    """BadRequestData if the instances are not of the kind that the name of their attribute stands for."""
    if key == _PROOF_KEY and not all(_is_proof(instance) or is_deletion(instance) for instance in instances):
        raise BadRequestData(f"Attribute {show(name)} must be a Property whose value is the object of a proof")
    if key in _GEO_KEYS and any(instance["type"] != "GeoProperty" for instance in instances):
        raise BadRequestData(f"Attribute {show(name)} must be a GeoProperty: its value is a GeoJSON geometry")


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
    return (kind is list and value in _NULL_LISTS) or (kind is dict and value == {NO_DATASET: NULL})


_NULL_LISTS = ([NULL], [{"object": NULL}])


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
        value = VALUE_READERS[kind](name, value, context)
    instance: Instance = {"type": kind, member: value}
    attributes: Attributes = {}
    for key, content in members.items():
        if key == member or key == "type" or key == "@type":
            continue
        reader = METADATA_READERS.get(key)
        if reader is not None:
            if content == NULL:
                if nulls and key != "datasetId":
                    continue  # the instance is written anew: what it is not given it does not have
                raise BadRequestData(f"Attribute {show(name)}: {key} cannot be deleted by {NULL} here")
            reader(name, kind, content, context, instance)
        elif key in OUTPUT_ONLY_MEMBERS:
            continue
        elif key in INNER_RESERVED_NAMES:
            raise BadRequestData(f"Attribute {show(name)}: a {kind} cannot have the member {show(key)}")
        else:
            sub_key = context.expand(key)
            if sub_key in _INNER_RESERVED_KEYS:
                raise BadRequestData(f"Attribute {show(name)}: {show(key)} is a member of NGSI-LD by another name")
            if sub_key in attributes:
                raise BadRequestData(
                    f"Attribute {show(name)}: {show(key)} stands twice, under two names of the same IRI"
                )
            instances = read_instances(f"{name}.{key}", sub_key, content, context, nulls=nulls)
            if nulls:
                instances = [sub for sub in instances if not is_deletion(sub)]
            if instances:
                attributes[sub_key] = instances
    if attributes:
        instance["attrs"] = attributes
    return instance


def is_attribute_object(item: object) -> bool:
    """Whether a JSON value is an attribute instance, normalized or concise, and no plain value."""
    return isinstance(item, dict) and (
        item.get("type") in _KINDS or item.get("@type") in _KINDS or not VALUE_MEMBERS.isdisjoint(item)
    )


_KINDS = list(VALUE_MEMBER)  # a list: what a client gives as type may be a JSON value that cannot be hashed


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
