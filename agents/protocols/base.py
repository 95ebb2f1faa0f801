"""What a protocol is: a pure function from a message to measures, and the readers all of them share.

A decoder sees the named parts of the topic, the payload as it came, and the time of reception. It returns at least one
measure or raises `MeasureError`; it knows no device, no clock and no network. Error texts name fields, never values.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import orjson

from agents.errors import NotJson, WrongShape
from agents.measure import Measure, TopicParts

CODEC = "codec"
"""The topic part by which a profile tells its decoder how payloads inside of the messages are read."""
MAX_NUMBER = 2**63 - 1
MAX_NUMBER_LENGTH = 32
MAX_FLAT_DEPTH = 4

Decoder = Callable[[TopicParts, bytes, datetime], list[Measure]]
"""(named parts of the topic, payload, time of reception in UTC) -> measures, or `MeasureError`."""


def read_json(payload: bytes) -> object:
    """Return the JSON value; `NotJson` for anything else (also invalid UTF-8 and nesting beyond 1,024 levels)."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"{len(payload)} bytes are not JSON: {error.msg} at character {error.pos}") from None


def read_object(payload: bytes) -> dict[str, object]:
    """Return the JSON object; `NotJson` or `WrongShape` for anything else."""
    return as_object(read_json(payload), "the payload")


def as_object(value: object, where: str) -> dict[str, object]:
    """Return `value` if it is a JSON object."""
    if not isinstance(value, dict):
        raise WrongShape(f"{where} is {json_type(value)}, not an object")
    return value


def field(values: Mapping[str, object], name: str) -> object:
    """Return a field that must be there."""
    try:
        return values[name]
    except KeyError:
        raise WrongShape(f"field {name} is missing") from None


def text(values: Mapping[str, object], name: str) -> str:
    """Return a field that must be non-empty text."""
    value = field(values, name)
    if not isinstance(value, str) or not value:
        raise WrongShape(f"field {name} is {json_type(value) if value != '' else 'empty'}, not text")
    return value


def integer(values: Mapping[str, object], name: str) -> int:
    """Return a field that must be a whole number ≥ 0, also when it comes quoted."""
    value = field(values, name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise WrongShape(f"field {name} is {json_type(value)}, not a whole number")


def number(value: object, where: str) -> int | float:
    """Return a finite number, also of a quoted one."""
    if isinstance(value, str) and len(value) <= MAX_NUMBER_LENGTH:
        try:
            value = int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
        except ValueError:
            raise WrongShape(f"{where} is text that is no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise WrongShape(f"{where} is {json_type(value)}, not a finite number")
    return value


def flat(section: Mapping[str, object], depth: int = MAX_FLAT_DEPTH) -> Iterator[tuple[str, object]]:
    """Give the members of an object, those of objects inside it as `outer.inner`; null is no value.

    Deeper than `depth` levels an object stays what it is.
    """
    for name, value in section.items():
        if isinstance(value, dict) and depth > 1:
            yield from ((f"{name}.{inner}", item) for inner, item in flat(value, depth - 1))
        elif value is not None:
            yield name, value


def boolean(values: Mapping[str, object], name: str) -> bool:
    """Return a field that must be true or false, also when it comes quoted."""
    value = field(values, name)
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise WrongShape(f"field {name} is {json_type(value)}, not a boolean")


def iso_instant(value: object, name: str) -> datetime:
    """Return the time of an ISO 8601 text: aware, or naive where it states no zone."""
    if isinstance(value, str) and "T" in value:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # told below, without the value
    raise WrongShape(f"field {name} is not an ISO 8601 time")


def unix_instant(seconds: int | float, name: str) -> datetime:
    """Return the UTC time of seconds since 1970."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise WrongShape(f"field {name} is no time: out of range") from None


def json_type(value: object) -> str:
    """Name the JSON type of a value, for error texts."""
    return _JSON_TYPES.get(type(value), "a number")


_JSON_TYPES: dict[type, str] = {
    str: "text",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
    type(None): "null",
}
