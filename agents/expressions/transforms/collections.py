"""Transforms of arrays, objects and JSON."""

from collections.abc import Callable
from typing import Any, Final

import orjson

from agents.expressions.javascript import added, is_same, text

_TYPE_NAMES: Final = {bool: "boolean", str: "string", int: "number", float: "number", type(None): "undefined"}
_LENGTH_MAX = 1_000_000


def jsonparse(value: object, *_: object) -> object:
    """The value of a JSON text, None for anything else."""
    try:
        return orjson.loads(text(value))
    except orjson.JSONDecodeError:
        return None


def jsonstringify(value: object, *_: object) -> str | None:
    """The JSON text of a value."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return None


def type_name(value: object = None, *_: object) -> str:
    """The JavaScript name of the value's type."""
    return _TYPE_NAMES.get(type(value), "object")


def isarray(value: object = None, *_: object) -> bool:
    """Whether the value is an array."""
    return isinstance(value, list)


def lengtharray(value: list[object], *_: object) -> int:
    """The number of elements."""
    return len(value)


def addreduce(value: object, *_: object) -> object:
    """The elements added up, or joined where there are texts; None for an empty array."""
    if not isinstance(value, list) or not value:
        return None
    total = value[0]
    for item in value[1:]:
        total = added(total, item)
    return total


def concatarr(value: list[object], other: object = None, *_: object) -> list[object]:
    """The elements of both arrays."""
    if not isinstance(value, list):
        raise TypeError("not an array")
    return [*value, *(other if isinstance(other, list) else [other])]


def joinarrtostr(value: list[object], separator: object = ",", *_: object) -> str:
    """The elements as one text."""
    if not isinstance(value, list):
        raise TypeError("not an array")
    between = "," if separator is None else text(separator)
    if len(between) * len(value) > _LENGTH_MAX:
        raise ValueError("the text would be too long")
    return between.join("" if item is None else text(item) for item in value)


def slice_(value: object, start: object = None, end: object = None, *_: object) -> object:
    """Part of an array or a text; negative places count from the end."""
    if not isinstance(value, list | str):
        raise TypeError("neither an array nor a text")
    return value[_place(start) : _place(end)]


def addset(value: list[object], item: object = None, *_: object) -> list[object]:
    """The elements, each once, and the item."""
    kept: list[object] = []
    for element in [*value, item]:
        if not any(is_same(element, known) for known in kept):
            kept.append(element)
    return kept


def removeset(value: list[object], item: object = None, *_: object) -> list[object]:
    """The elements, each once, without the item."""
    return [element for element in addset(value[1:], value[0]) if not is_same(element, item)] if value else []


def value_picker(value: dict[str, object], wanted: object = None, *_: object) -> list[str]:
    """The names of the members that have this value."""
    return [name for name, member in value.items() if is_same(member, wanted)]


def value_picker_multi(value: dict[str, object], wanted: list[object], *_: object) -> list[str]:
    """The names of the members that have one of these values."""
    return [name for name, member in value.items() if any(is_same(member, one) for one in wanted)]


def _place(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


TRANSFORMS: Final[dict[str, Callable[..., Any]]] = {
    "jsonparse": jsonparse,
    "jsonstringify": jsonstringify,
    "typeof": type_name,
    "isarray": isarray,
    "lengtharray": lengtharray,
    "addreduce": addreduce,
    "concatarr": concatarr,
    "joinarrtostr": joinarrtostr,
    "slice": slice_,
    "addset": addset,
    "removeset": removeset,
    "valuePicker": value_picker,
    "valuePickerMulti": value_picker_multi,
}
