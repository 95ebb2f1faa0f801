"""The JSON of a body: read exactly, or refused where it could not be kept as it is or would stop everybody else."""

import json
from typing import Any

import orjson

from ngsi.attribute import is_attribute_object
from ngsi.errors import BadRequestData, InvalidRequest
from ngsi.names import show
from ngsi.vocabulary import VALUE_MEMBERS

_DEPTH_MAX = 60
_INTEGER_MAX = 2**63 - 1
_PARTS_COUNT_MAX = 20_000
"""Attributes of an entity with their instances and members, at the most: nobody else gets a turn while one is read."""
_LISTS_OF_NAMES = frozenset({"type", "@type", "scope"})


def parse_json(content: bytes) -> Any:
    """The JSON value of a body. InvalidRequest if it is none, BadRequestData if it cannot be stored exactly."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        what = "The body is empty" if not content.strip() else f"The body is not JSON: {exc}"
        raise InvalidRequest(f"{what}; send a JSON document in UTF-8") from exc
    if _require_storable(value):
        json.loads(content, parse_int=_whole)
    return value


def _require_storable(value: Any) -> bool:
    """Refuses what MongoDB would not give back as it was: deep nesting, integers over 64 bits, keys with U+0000.

    True if there are floats so large that the parser may have made them of integers.
    """
    has_large = False
    level = [value]
    depth = 0
    while level:
        depth += 1
        if depth > _DEPTH_MAX:
            raise BadRequestData(f"The body is nested more than {_DEPTH_MAX} levels deep")
        inner: list[Any] = []
        for item in level:
            if type(item) is dict:
                inner += item.values()
                if "\x00" in "".join(item):
                    raise BadRequestData("A member name of the body contains the character U+0000")
            elif type(item) is list:
                inner += item
            elif type(item) is int and not -_INTEGER_MAX <= item <= _INTEGER_MAX:
                raise _too_long(item)
            elif type(item) is float and not -_INTEGER_MAX < item < _INTEGER_MAX:
                has_large = True
        level = inner
    return has_large


def _whole(digits: str) -> float:
    if len(digits) > len(str(_INTEGER_MAX)) + 1 or not -_INTEGER_MAX <= int(digits) <= _INTEGER_MAX:
        raise _too_long(digits)
    return 0.0


def _too_long(number: object) -> BadRequestData:
    return BadRequestData(f"The number {show(number)} does not fit 64 bits; send it as a string")


def require_moderate(body: Any) -> None:
    """Refuses entities of more parts than are worked on without a break; what a value is made of does not count."""
    for item in body if isinstance(body, list) else [body]:
        if isinstance(item, dict) and _parts_count(item) > _PARTS_COUNT_MAX:
            raise BadRequestData(
                f"{show(item['id']) if 'id' in item else 'The body'} has over {_PARTS_COUNT_MAX} types, scopes, "
                "attributes, instances and members of attributes in all; make several entities of it, or one value"
            )


def _parts_count(entity: dict[str, Any]) -> int:
    """How many, counted up to a little over the limit."""
    count, inner = 0, [entity]
    while inner and count <= _PARTS_COUNT_MAX:
        members = inner.pop()
        count += len(members)
        for name, content in members.items():
            if isinstance(content, list) and name in _LISTS_OF_NAMES:
                count += len(content)
            elif name not in VALUE_MEMBERS or members is entity:
                instances = content if isinstance(content, list) else [content]
                inner += [item for item in instances if is_attribute_object(item)]
    return count
