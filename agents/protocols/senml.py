"""Sensor Measurement Lists, as JSON and as CBOR.

Source: RFC 8428: an array of records; base fields (§4.1) hold for their record and all that follow; a time below 2**28
is relative to now (§4.5.3); a field whose label ends in `_` must be understood (§4.4). In CBOR the labels are numbers
(§6).
"""

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import cbor2

from agents.errors import Empty, NotCbor, WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import as_object, integer, number, read_json, text, unix_instant
from agents.protocols.senml_units import CODES

NEWEST_VERSION = 10
RELATIVE_BELOW = 2**28
MAX_RECORDS_COUNT = 10_000

_LABELS: Final = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*")
_LAST_PART = re.compile(r"[^:/]+(?=[:/]*$)")
_POSITION = frozenset({"lat", "lon"})
_VALUES = frozenset({"v", "vs", "vb", "vd"})
_JSON_ARRAYS = (b"[", b" ", b"\n", b"\r", b"\t", b"{")


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure for each time, in order of time.

    A field is the `n` of its record, or the last part of the base name where there is none; a sum is `<field>.sum`.
    What is in degrees of latitude and longitude without a name of its own is where the rest is (§5.1.3): `location`.
    """
    records = _records(payload)
    made: dict[float, tuple[dict[str, object], dict[str, str]]] = {}
    for at, name, value, unit in _resolved(records):
        values, units = made.setdefault(at, ({}, {}))
        if name in values:
            raise WrongShape("a field is there twice for one time")
        values[name] = value
        if unit is not None:
            units[name] = unit
    if not made:
        raise Empty("the list holds no value")
    measures = ((_instant(at, received_at), _placed(values), units) for at, (values, units) in made.items())
    in_order = sorted(measures, key=lambda measure: measure[0] or received_at)
    return [Measure(values, observed_at, units=units) for observed_at, values, units in in_order]


def _records(payload: bytes) -> list[dict[str, object]]:
    body = read_json(payload) if payload[:1] in _JSON_ARRAYS or not payload else _cbor(payload)
    if not isinstance(body, list):
        raise WrongShape("the payload is no array of records")
    if len(body) > MAX_RECORDS_COUNT:
        raise WrongShape(f"more than {MAX_RECORDS_COUNT} records")
    return [as_object(record, f"record {position}") for position, record in enumerate(body)]


def _cbor(payload: bytes) -> object:
    try:
        body = cbor2.loads(payload)
    except Exception as error:  # whatever the readers of its tags raise
        raise NotCbor(f"{len(payload)} bytes are not CBOR: {type(error).__name__}") from None
    if not isinstance(body, list):
        return None
    return [_labelled(record) for record in body]


def _labelled(record: object) -> object:
    if not isinstance(record, dict):
        return None
    return {_LABELS.get(key, str(key)) if isinstance(key, int) else str(key): _plain(record[key]) for key in record}


def _plain(value: object) -> object:
    """A value of CBOR as JSON has it; decimal fractions are numbers, bytes are base64url."""
    if isinstance(value, bytes):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    try:
        return float(value)  # type: ignore[arg-type] # decimals and fractions; anything else is told below
    except (TypeError, ValueError, ArithmeticError):
        raise WrongShape("a field is of a type that SenML does not have") from None


def _resolved(records: list[dict[str, object]]) -> Iterator[tuple[float, str, object, str | None]]:
    """Give time, name, value and unit code of the records, with the base fields worked in."""
    base: dict[str, object] = {}
    for record in records:
        _understand(record)
        base |= {label: value for label, value in record.items() if label in ("bn", "bt", "bu", "bv", "bs")}
        at = _number(base, "bt") + _number(record, "t")
        unit = _unit(record if "u" in record else base)
        if (value := _value(record, base)) is not None:
            yield at, _name(record, base), value, unit
        if "s" in record or ("bs" in base and value is not None):
            yield at, f"{_name(record, base)}.sum", _number(base, "bs") + _number(record, "s"), None


def _understand(record: Mapping[str, object]) -> None:
    if "bver" in record and integer(record, "bver") > NEWEST_VERSION:
        raise WrongShape(f"field bver is more than {NEWEST_VERSION}")
    if any(label.endswith("_") for label in record):
        raise WrongShape("a field that must be understood is not known")


def _value(record: Mapping[str, object], base: Mapping[str, object]) -> object:
    if len(_VALUES & record.keys()) > 1:
        raise WrongShape("a record has more than one value")
    if "vs" in record:
        value = record["vs"]
        if not isinstance(value, str):
            raise WrongShape("field vs is not text")
        return value
    if "vb" in record:
        if not isinstance(record["vb"], bool):
            raise WrongShape("field vb is not a boolean")
        return record["vb"]
    if "vd" in record:
        return text(record, "vd")
    if "v" in record or ("bv" in base and "s" not in record and "n" in record):
        return _number(base, "bv") + _number(record, "v")
    return None


def _placed(values: dict[str, object]) -> dict[str, object]:
    """The values with the position as GeoJSON."""
    if not all(isinstance(values.get(name), int | float) for name in _POSITION):
        return values
    rest = {name: value for name, value in values.items() if name not in _POSITION}
    return {**rest, "location": {"type": "Point", "coordinates": [values["lon"], values["lat"]]}}


def _name(record: Mapping[str, object], base: Mapping[str, object]) -> str:
    name = record.get("n")
    if (name is None or name == "") and record.get("u") in _POSITION:
        name = record["u"]
    elif name is None or name == "":
        found = _LAST_PART.search(str(base.get("bn", "")))
        name = found[0] if found else ""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise WrongShape("a record has no name, or one of other characters than RFC 8428 §4.5.1 has")
    return name


def _unit(stating: Mapping[str, object]) -> str | None:
    stated = stating.get("u", stating.get("bu"))
    if stated is None:
        return None
    if not isinstance(stated, str) or stated not in CODES:
        raise WrongShape("field u is no unit of the SenML registries; a new one is a row of senml_units.py")
    return CODES[stated]


def _number(values: Mapping[str, object], label: str) -> int | float:
    value = values.get(label, 0)
    if isinstance(value, str):
        raise WrongShape(f"field {label} is text, not a number")
    return number(value, f"field {label}")


def _instant(at: float, received_at: datetime) -> datetime | None:
    """The time of a record; None for now."""
    if at == 0:
        return None
    if at >= RELATIVE_BELOW:
        return unix_instant(at, "t")
    try:
        return received_at + timedelta(seconds=at)
    except OverflowError:
        raise WrongShape("field t is no time: out of range") from None
