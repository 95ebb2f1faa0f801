"""GeoJSON out of what devices and provisioning scripts say of places.

Source: telefonicaid/iotagent-node-lib, doc/api.md, "NGSI-LD GeoProperty support": text "23, 12.5", an array, or GeoJSON
as it is; the order of numbers is kept: longitude first.
"""

import math
from collections.abc import Iterator

from agents.errors import WrongShape

_PAIR = 2


def geometry(kind: str, value: object, name: str) -> object:
    """Return the GeoJSON geometry of a value; `WrongShape` when its numbers do not make one of that kind."""
    if isinstance(value, dict):
        return value
    numbers = list(_numbers(value, name))
    if not numbers or len(numbers) % _PAIR:
        raise WrongShape(f"attribute {name} is no place: it has not two numbers for each position")
    positions = [numbers[start : start + _PAIR] for start in range(0, len(numbers), _PAIR)]
    if kind == "Point":
        if len(positions) > 1:
            raise WrongShape(f"attribute {name} is no Point: it has several positions")
        return {"type": kind, "coordinates": positions[0]}
    if kind in ("Polygon", "MultiLineString"):
        return {"type": kind, "coordinates": [positions]}
    return {"type": kind, "coordinates": [[positions]] if kind == "MultiPolygon" else positions}


def _numbers(value: object, name: str) -> Iterator[float]:
    """All numbers, in their order, however deep they lie."""
    if isinstance(value, str):
        for part in value.split(","):
            yield _number(part, name)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, name)
    else:
        yield _number(value, name)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongShape(f"attribute {name} is no place: a coordinate is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise WrongShape(f"attribute {name} is no place: a coordinate is no number") from None
    if not math.isfinite(number):
        raise WrongShape(f"attribute {name} is no place: a coordinate is no number")
    return number
