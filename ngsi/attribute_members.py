"""The members of an attribute instance that are not attributes themselves: each checked and brought into the form held.

A reader raises BadRequestData that names the attribute and says what is right (clauses 4.5.2 to 4.5.24 and 4.8).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ngsi.context import Context
from ngsi.datetimes import require_datetime, require_expiry
from ngsi.entity import Instance
from ngsi.errors import BadRequestData
from ngsi.geo import require_geometry
from ngsi.names import require_uri, show
from ngsi.vocabulary import NO_DATASET, NULL

_WITH_UNIT = frozenset({"Property", "GeoProperty", "ListProperty"})

# Readers of the value member: (attribute name, value, context) → value as held.


def _property_value(name: str, value: Any, context: Context) -> Any:
    if value is None:
        raise BadRequestData(f"Attribute {show(name)} has the value null; JSON null is no value in NGSI-LD")
    if isinstance(value, dict | list) and _holds_null_marker(value):
        raise BadRequestData(f"Attribute {show(name)}: {NULL} inside a value deletes a key, which only a merge can do")
    return value


def _holds_null_marker(value: Mapping[str, Any] | list[Any]) -> bool:
    items = value if isinstance(value, list) else value.values()
    return any(item == NULL or (isinstance(item, dict | list) and _holds_null_marker(item)) for item in items)


def _geometry(name: str, value: Any, context: Context) -> Any:
    return require_geometry(value, f"Attribute {show(name)}")


def _object(name: str, value: Any, context: Context) -> Any:
    if isinstance(value, list) and value:
        return [_target(item, f"Attribute {show(name)}: object") for item in value]
    return _target(value, f"Attribute {show(name)}: object")


def _target(uri: Any, what: str) -> str:
    if uri == NULL:
        raise BadRequestData(f"{what} {NULL} is no entity that could be pointed to")
    return require_uri(uri, what)


def _language_map(name: str, value: Any, context: Context) -> Any:
    if not isinstance(value, dict) or not all(tag and _is_text_or_texts(text) for tag, text in value.items()):
        raise BadRequestData(
            f"Attribute {show(name)}: languageMap {show(value)} must map language tags to strings or arrays of strings"
            f", none of them {NULL}"
        )
    return value


def _vocab(name: str, value: Any, context: Context) -> Any:
    if isinstance(value, str) and value:
        return context.expand_iri(value)
    if isinstance(value, list) and value and all(isinstance(item, str) and item not in ("", NULL) for item in value):
        return [context.expand_iri(item) for item in value]
    raise BadRequestData(f"Attribute {show(name)}: vocab {show(value)} must be a term or an array of terms")


def _json(name: str, value: Any, context: Context) -> Any:
    if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        return value
    raise BadRequestData(f"Attribute {show(name)}: json {show(value)} must be an object or an array of objects")


def _value_list(name: str, value: Any, context: Context) -> Any:
    if not isinstance(value, list) or None in value or _holds_null_marker(value):
        raise BadRequestData(f"Attribute {show(name)}: valueList {show(value)} must be an array without null")
    return value


def _object_list(name: str, value: Any, context: Context) -> Any:
    if not isinstance(value, list):
        raise BadRequestData(f"Attribute {show(name)}: objectList {show(value)} must be an array of URIs")
    uris = [item.get("object") if isinstance(item, dict) else item for item in value]
    return [_target(uri, f"Attribute {show(name)}: objectList item") for uri in uris]


def _is_text_or_texts(value: object) -> bool:
    return all(isinstance(text, str) and text != NULL for text in (value if isinstance(value, list) else [value]))


VALUE_READERS: dict[str, Callable[[str, Any, Context], Any]] = {
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


METADATA_READERS: dict[str, Callable[[str, str, Any, Context, Instance], None]] = {
    "observedAt": _observed_at,
    "expiresAt": _expires_at,
    "unitCode": _unit_code,
    "datasetId": _dataset_id,
    "valueType": _value_type,
    "objectType": _object_type,
    "entityIdSealed": _entity_id_sealed,
    "entityTypeSealed": _entity_type_sealed,
}
