"""The entities of the campus as the pilot reads them: plain values taken out of normalized NGSI-LD.

Attribute names are the terms of the campus @context; docs/pilots/campus.md describes each type. Entities from the API
and from notifications have the same form, so there is one reader a type. What is not as described is left out (None)
rather than refused: an application must live with entities that others write.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

DEVICE_TYPES: Final = ("ThermalCamera", "BadgeReader", "Device")
SHOWN_TYPES: Final = ("Zone", *DEVICE_TYPES, "AccessEvent", "TemperatureScreening", "Alert")

JsonEntity = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the site; the sensor's values are None until it has reported. `location`: longitude, latitude."""

    id: str
    name: str
    capacity: int | None = None
    inside: str | None = None
    location: tuple[float, float] | None = None
    people_counted: int | None = None
    celsius: float | None = None
    co2_ppm: float | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A camera, badge reader or sensor; `interval_s` is how often it should be heard."""

    id: str
    type: str
    zone: str | None = None
    interval_s: float | None = None
    last_heard: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessEvent:
    """A badge at a reader. `holder` is a pseudonym and never leaves the rules."""

    id: str
    holder: str
    zone: str
    direction: Literal["in", "out"]
    granted: bool
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Screening:
    """A decision of a thermal camera; the temperature itself is not kept."""

    id: str
    result: str
    zone: str | None
    device: str | None
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should look at; the id follows from category and source, so there is one of each."""

    category: str
    sub_category: str
    severity: str
    source: str
    description: str
    issued_at: datetime
    closed_at: datetime | None = None

    @property
    def id(self) -> str:
        """`urn:ngsi-ld:Alert:<category>-<last part of the source's id>`."""
        return f"urn:ngsi-ld:Alert:{self.category}-{short(self.source)}"

    @property
    def is_open(self) -> bool:
        """Whether it still needs attention."""
        return self.closed_at is None


def read_zone(entity: JsonEntity) -> Zone:
    """Zone from its entity."""
    people, celsius, co2 = (_number(entity, name) for name in ("peopleCount", "temperature", "co2"))
    capacity = _number(entity, "capacity")
    name = _value(entity, "name")
    return Zone(
        id=str(entity["id"]),
        name=name if isinstance(name, str) else short(str(entity["id"])).capitalize(),
        capacity=None if capacity is None else int(capacity),
        inside=_object(entity, "containedInZone"),
        location=_point(entity, "location"),
        people_counted=None if people is None else int(people),
        celsius=celsius,
        co2_ppm=co2,
        observed_at=_observed_at(entity, "peopleCount") or _observed_at(entity, "temperature"),
    )


def read_device(entity: JsonEntity) -> Device:
    """Camera, reader or sensor from its entity."""
    return Device(
        id=str(entity["id"]),
        type=_type(entity),
        zone=_object(entity, "zone"),
        interval_s=_number(entity, "expectedInterval"),
        last_heard=moment(_value(entity, "dateLastValueReported")),
    )


def read_access_event(entity: JsonEntity) -> AccessEvent | None:
    """Badge event from its entity; None when it does not say who, where, which way and when."""
    holder, zone = _value(entity, "holder"), _object(entity, "zone")
    direction, observed_at = _value(entity, "direction"), moment(_value(entity, "dateObserved"))
    if not isinstance(holder, str) or zone is None or direction not in ("in", "out") or observed_at is None:
        return None
    granted = _value(entity, "accessResult") == "granted"
    return AccessEvent(str(entity["id"]), holder, zone, direction, granted, observed_at)


def read_screening(entity: JsonEntity) -> Screening | None:
    """Screening from its entity; None without result or time."""
    result, observed_at = _value(entity, "result"), moment(_value(entity, "dateObserved"))
    if not isinstance(result, str) or observed_at is None:
        return None
    return Screening(str(entity["id"]), result, _object(entity, "zone"), _object(entity, "refDevice"), observed_at)


def read_alert(entity: JsonEntity) -> Alert | None:
    """Alert from its entity; None when it was written by somebody with other ideas of an alert."""
    texts = [_value(entity, name) for name in ("category", "subCategory", "severity", "description")]
    source, issued_at = _object(entity, "alertSource"), moment(_value(entity, "dateIssued"))
    if not all(isinstance(text, str) for text in texts) or source is None or issued_at is None:
        return None
    category, sub_category, severity, description = texts
    is_closed = _value(entity, "status") == "closed"
    # The agent's alerts say with `observedAt` since when they are closed.
    closed_at = moment(_value(entity, "validTo")) or _observed_at(entity, "status") or issued_at if is_closed else None
    return Alert(category, sub_category, severity, source, description, issued_at, closed_at)


def zone_entity(zone: Zone) -> JsonEntity:
    """What the pilot itself knows of a zone, as an entity; the sensors' values belong to the agent."""
    entity: JsonEntity = {"id": zone.id, "type": "Zone", "name": _property(zone.name)}
    if zone.capacity is not None:
        entity["capacity"] = _property(zone.capacity)
    if zone.inside is not None:
        entity["containedInZone"] = {"type": "Relationship", "object": zone.inside}
    if zone.location is not None:
        entity["location"] = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": list(zone.location)}}
    return entity


def alert_entity(alert: Alert) -> JsonEntity:
    """An alert as an entity: Smart Data Models' Alert, plus `status` open or closed; `validTo` once it is closed."""
    entity = {
        "id": alert.id,
        "type": "Alert",
        "category": _property(alert.category),
        "subCategory": _property(alert.sub_category),
        "severity": _property(alert.severity),
        "alertSource": {"type": "Relationship", "object": alert.source},
        "description": _property(alert.description),
        "dateIssued": _property(text(alert.issued_at)),
        "status": _property("open" if alert.is_open else "closed"),
    }
    if alert.closed_at is not None:
        entity["validTo"] = _property(text(alert.closed_at))
    return entity


def short(entity_id: str) -> str:
    """The last part of a URN: `hall` of `urn:ngsi-ld:Zone:hall`."""
    return entity_id.rsplit(":", 1)[-1]


def moment(value: object) -> datetime | None:
    """UTC time from ISO 8601 text (or a JSON-LD DateTime value); None if it is none or has no offset."""
    if isinstance(value, dict):
        value = value.get("@value")
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo is not None else None


def text(instant: datetime) -> str:
    """ISO 8601, UTC, milliseconds, Z."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _property(value: object) -> JsonEntity:
    return {"type": "Property", "value": value}


def _instance(entity: JsonEntity, name: str) -> JsonEntity:
    """The attribute without datasetId if there are several of this name."""
    attribute = entity.get(name)
    if isinstance(attribute, list):
        plain = [instance for instance in attribute if isinstance(instance, dict) and "datasetId" not in instance]
        attribute = plain[0] if plain else None
    return attribute if isinstance(attribute, dict) else {}


def _value(entity: JsonEntity, name: str) -> Any:
    return _instance(entity, name).get("value")


def _number(entity: JsonEntity, name: str) -> float | None:
    value = _value(entity, name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(entity: JsonEntity, name: str) -> str | None:
    value = _instance(entity, name).get("object")
    return value if isinstance(value, str) else None


def _point(entity: JsonEntity, name: str) -> tuple[float, float] | None:
    value = _value(entity, name)
    if not isinstance(value, dict) or value.get("type") != "Point":
        return None
    longitude, latitude, *_ = value["coordinates"]
    return longitude, latitude


def _observed_at(entity: JsonEntity, name: str) -> datetime | None:
    return moment(_instance(entity, name).get("observedAt"))


def _type(entity: JsonEntity) -> str:
    kind = entity.get("type")
    return str(kind[0]) if isinstance(kind, list) and kind else str(kind)
