"""Measures that are entities themselves: `payloadType` ngsild and ngsiv2.

Source: telefonicaid/iotagent-json, docs/usermanual.md, "Measures in NGSI-LD format": an entity, or
`{"actionType": …, "entities": […]}`; `id` and `type` become the fields `measure_id` and `measure_type`.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agents.entities.instances import Instance, metadata_member, typed_instance
from agents.errors import WrongShape
from agents.measure import NO_UNITS, Measure
from agents.specification import TIME_ATTRIBUTE, Metadatum

_VALUE_MEMBERS = ("value", "object", "languageMap", "vocab", "json", "valueList", "objectList")
_CORE = {"id": "measure_id", "type": "measure_type"}


class Unpacked(NamedTuple):
    """The fields of one entity, and the instances as the device has written them."""

    values: Mapping[str, object]
    stated: Mapping[str, Instance | list[Instance]]
    units: Mapping[str, str] = NO_UNITS


def unpacked(measure: Measure, payload_type: str) -> Iterator[Unpacked]:
    """Give the entities of a measure; `WrongShape` for what is none."""
    if payload_type == "iotagent":
        yield Unpacked(measure.values, {}, measure.units)
        return
    entities = measure.values.get("entities") if "actionType" in measure.values else [measure.values]
    if not isinstance(entities, list):
        raise WrongShape("field entities is no array")
    for entity in entities:
        if not isinstance(entity, Mapping):
            raise WrongShape("an item of entities is no object")
        yield _entity(entity, is_v2=payload_type == "ngsiv2")


def _entity(entity: Mapping[str, object], *, is_v2: bool) -> Unpacked:
    values: dict[str, object] = {}
    stated: dict[str, Instance | list[Instance]] = {}
    for name, attribute in entity.items():
        if name in _CORE:
            values[_CORE[name]] = attribute
        elif name == "@context":
            continue
        elif isinstance(attribute, dict) and ("type" in attribute or "value" in attribute):
            values[name] = _value(attribute)
            stated[name] = _v2_instance(attribute, name) if is_v2 else attribute
        elif isinstance(attribute, list) and attribute and all(isinstance(item, dict) for item in attribute):
            stated[name] = attribute
            values[name] = _value(attribute[0])
        else:
            values[name] = attribute
    return Unpacked(values, stated)


def _value(instance: Mapping[str, object]) -> object:
    return next((instance[member] for member in _VALUE_MEMBERS if member in instance), None)


def _v2_instance(attribute: Mapping[str, object], name: str) -> Instance:
    """Write an attribute `{type, value, metadata}` of NGSIv2 as its type asks."""
    type_ = attribute.get("type", "Property")
    if not isinstance(type_, str):
        raise WrongShape("an attribute has a type that is no text")
    made = typed_instance(type_, attribute.get("value"), name) or {}
    metadata = attribute.get("metadata")
    if made and isinstance(metadata, dict):
        for key, metadatum in metadata.items():
            if isinstance(metadatum, dict) and key != TIME_ATTRIBUTE:
                made |= metadata_member(key, Metadatum(), metadatum.get("value"))
    return made
