"""Types of attributes: the kinds of NGSI-LD and the types of the FIWARE agents, and what each makes of a value.

Source: telefonicaid/iotagent-node-lib, doc/api.md, "NGSI-LD data and metadata considerations", and ETSI GS CIM 009,
clause 4.5. A type that is not in the table is a Property with the value as it is. A value that its type cannot hold (a
Number that is none) gives None: not sent.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, time
from functools import partial
from typing import NamedTuple

import orjson

from agents.entities.geometry import geometry
from ngsi.datetimes import system_text

Conversion = Callable[[object], object]


class Kind(NamedTuple):
    """How an attribute of a type is written: its kind, the member that holds the value, what is made of the value."""

    name: str
    member: str
    conversion: Conversion | None = None


def kind_of(type_: str, attribute: str) -> Kind:
    """Return the kind of an attribute, by its provisioned type in any case."""
    lowered = type_.lower()
    if (shape := _GEOMETRIES.get(lowered)) is not None:
        return Kind("GeoProperty", "value", partial(geometry, shape, name=attribute))
    return _KINDS.get(lowered, _PROPERTY)


def number(value: object) -> int | float | None:
    """Return the number, also of a text; None when it is none."""
    if isinstance(value, str):
        try:
            value = int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
        except ValueError:
            return None
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else None


def _integer(value: object) -> int | None:
    known = number(value)
    return None if known is None else int(known)


def _float(value: object) -> int | float | None:
    return number(value)


def _boolean(value: object) -> bool:
    return value.strip().lower() not in ("", "false", "0") if isinstance(value, str) else bool(value)


def _structure(value: object) -> object:
    """What a text holds when it is JSON."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _datetime(value: object) -> str | None:
    """The time in UTC, of ISO 8601 text (without zone: UTC) or of milliseconds since 1970."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return system_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return system_text(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _date(value: object) -> str | None:
    known = _datetime(value)
    return None if known is None else known[:10]


def _time(value: object) -> str | None:
    """The time of day, with seconds."""
    try:
        return time.fromisoformat(value).isoformat("seconds")[:8] if isinstance(value, str) else None
    except ValueError:
        return None


_PROPERTY = Kind("Property", "value")

_KINDS: dict[str, Kind] = {
    "boolean": Kind("Property", "value", _boolean),
    "float": Kind("Property", "value", _float),
    "number": Kind("Property", "value", _float),
    "integer": Kind("Property", "value", _integer),
    "object": Kind("Property", "value", _structure),
    "array": Kind("Property", "value", _structure),
    "datetime": Kind("Property", "value", _datetime),
    "date": Kind("Property", "value", _date),
    "time": Kind("Property", "value", _time),
    "relationship": Kind("Relationship", "object"),
    "languageproperty": Kind("LanguageProperty", "languageMap"),
    "vocabproperty": Kind("VocabProperty", "vocab"),
    "jsonproperty": Kind("JsonProperty", "json"),
    "listproperty": Kind("ListProperty", "valueList"),
    "listrelationship": Kind("ListRelationship", "objectList"),
}

_GEOMETRIES = {
    "geoproperty": "Point",
    "point": "Point",
    "geo:point": "Point",
    "geo:json": "Point",
    "linestring": "LineString",
    "geo:linestring": "LineString",
    "polygon": "Polygon",
    "geo:polygon": "Polygon",
    "multipoint": "MultiPoint",
    "geo:multipoint": "MultiPoint",
    "multilinestring": "MultiLineString",
    "geo:multilinestring": "MultiLineString",
    "multipolygon": "MultiPolygon",
    "geo:multipolygon": "MultiPolygon",
}
