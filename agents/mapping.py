"""From measures to NGSI-LD entity fragments (normalized form), by the profile's rules and the device's settings.

Pure but for one thing: the newest time reported per device is remembered, so that a late message does not make a device
look silent.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from agents.clock import Observed
from agents.device import Device
from agents.errors import Empty, WrongShape
from agents.measure import Measure, TopicParts
from agents.profile import AttributeName, EntityRule, Profile
from agents.pseudonyms import Pseudonyms
from agents.units import convert
from agents.values import number, value_of
from ngsi.datetimes import system_text


class Fragment(NamedTuple):
    """Some attributes of one entity, to be merged into it: its JSON text, and the @context of its terms."""

    entity_id: str
    body: bytes
    context: str


def fragments(
    measure: Measure, seen: Observed, parts: TopicParts, device: Device, profile: Profile, pseudonyms: Pseudonyms
) -> list[Fragment]:
    """Return the fragments a measure makes, in the order they are to be written; `MeasureError` when it makes none.

    Rules first, then the entity about the device itself. Every measured attribute carries `observedAt`.
    """
    at = system_text(seen.at)
    if profile.entities:
        made = [
            _ruled(rule, measure, at, parts, device, pseudonyms)
            for rule in profile.entities
            if rule.kind is None or rule.kind == measure.kind
        ]
    else:
        made = [_own(measure, at, device)]
    if device.about is not None and at >= device.last_reported:
        device.last_reported = at
        made.append(_about(device, device.about, at))
    return made


def _own(measure: Measure, at: str, device: Device) -> Fragment:
    """Every field becomes an attribute of the device's own entity."""
    entity: dict[str, object] = {"id": device.entity_id, "type": device.entity_type, **device.static}
    static_count = len(entity)
    for measured, value in measure.values.items():
        name = device.name_of(measured)
        if name is not None and value is not None:
            entity[name.name] = _instance(name, value, at, measured)
    if len(entity) == static_count:
        raise Empty("the measure has none of the device's attributes")
    return Fragment(device.entity_id, _json(entity), device.context)


def _instance(name: AttributeName, value: object, at: str, measured: str) -> dict[str, object]:
    if name.from_unit is not None and name.unit is not None:
        value = convert(number(value, measured), name.from_unit, name.unit)
    if name.kind == "Relationship":
        return {"type": "Relationship", "object": value, "observedAt": at}
    if name.unit is None:
        return {"type": name.kind, "value": value, "observedAt": at}
    return {"type": name.kind, "value": value, "unitCode": name.unit, "observedAt": at}


def _ruled(
    rule: EntityRule, measure: Measure, at: str, parts: TopicParts, device: Device, pseudonyms: Pseudonyms
) -> Fragment:
    made: dict[str, object] = {}
    entity: dict[str, object] = {"id": "", "type": rule.type}
    for name, attribute in rule.attributes.items():
        made[name] = value = value_of(attribute, measure, device, at, pseudonyms)
        member = "object" if attribute.kind == "Relationship" else "value"
        instance: dict[str, object] = {"type": attribute.kind, member: value, "observedAt": at}
        if attribute.unit is not None and attribute.classify is None:
            instance["unitCode"] = attribute.unit
        entity[name] = instance
    entity["id"] = entity_id = rule.id.render(_id_parts(measure, at, parts, device, made))
    return Fragment(entity_id, _json(entity), device.context)


def _id_parts(
    measure: Measure, at: str, parts: TopicParts, device: Device, made: Mapping[str, object]
) -> dict[str, object]:
    """What an id is made of. `stamp` is the device's own time, so that a repeated message has the same id."""
    stated = system_text(measure.observed_at) if measure.observed_at and measure.observed_at.tzinfo else at
    stamp = stated.translate(_TO_STAMP)
    return {**measure.values, **parts, **made, "device": device.id, "stamp": stamp}


_TO_STAMP = str.maketrans("", "", "-:.")


def _about(device: Device, unchanging: Mapping[str, object], at: str) -> Fragment:
    reported = {"type": "Property", "value": at, "observedAt": at}
    return Fragment(device.about_id, _json({**unchanging, "dateLastValueReported": reported}), device.context)


def _json(entity: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(entity)
    except orjson.JSONEncodeError as error:
        raise WrongShape("a value is nested too deeply") from error
