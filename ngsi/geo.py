"""GeoJSON geometries (RFC 7946) as values of GeoProperties (clause 4.7): their shape, not their topology."""

import json
from collections.abc import Collection
from typing import Any

from ngsi.errors import BadRequestData
from ngsi.names import show
from ngsi.vocabulary import GEOMETRY_TYPES

# How deep positions are nested in `coordinates`, and the least number of positions in the innermost array.
_NESTING = {
    "Point": (0, 1),
    "MultiPoint": (1, 0),
    "LineString": (1, 2),
    "MultiLineString": (2, 2),
    "Polygon": (2, 4),
    "MultiPolygon": (3, 4),
}

POSITIONS_MAX = 50_000
"""Of one geometry: nobody else gets a turn while it is looked at."""


def is_geometry(value: object) -> bool:
    """Whether an object claims to be one of the six geometries, right or wrong inside."""
    return isinstance(value, dict) and _claims(value, GEOMETRY_TYPES) and "coordinates" in value


def _claims(value: dict[str, Any], kinds: Collection[str]) -> bool:
    """Whether the type of a JSON object is one of these; it may be any JSON value, also one that cannot be hashed."""
    kind = value.get("type")
    return isinstance(kind, str) and kind in kinds


def require_geometry(value: object, what: str) -> dict[str, Any]:
    """The geometry itself, or the one written in a JSON string; BadRequestData naming `what` for anything else.

    A self-intersecting polygon is accepted: the standard asks for the GeoJSON shape only.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as exc:
            raise BadRequestData(f"{what}: the text {show(value)} is not a GeoJSON geometry") from exc
    if not isinstance(value, dict) or not _claims(value, _NESTING):
        raise BadRequestData(
            f"{what}: {show(value)} is not a GeoJSON geometry; its type must be one of {', '.join(sorted(_NESTING))}"
        )
    depth, least = _NESTING[value["type"]]
    if not _is_nested(value.get("coordinates"), depth, least, closed=depth >= 2 and least == 4):
        raise BadRequestData(
            f"{what}: the coordinates of the {value['type']} {show(value.get('coordinates'))} do not have its shape; "
            "positions are [longitude, latitude], a latitude is between -90 and 90, the rings of a polygon are closed"
        )
    if _positions_count(value["coordinates"], depth) > POSITIONS_MAX:
        raise BadRequestData(f"{what}: the {value['type']} has over {POSITIONS_MAX} positions; simplify it")
    return value


def _positions_count(coordinates: list[Any], depth: int) -> int:
    if depth == 0:
        return 1
    return len(coordinates) if depth == 1 else sum(_positions_count(inner, depth - 1) for inner in coordinates)


def _is_nested(value: object, depth: int, least: int, *, closed: bool) -> bool:
    if depth == 0:
        return _is_position(value)
    if not isinstance(value, list):
        return False
    if depth == 1:
        ring_is_closed = not closed or value[:1] == value[-1:]
        return len(value) >= least and ring_is_closed and all(_is_position(item) for item in value)
    return all(_is_nested(item, depth - 1, least, closed=closed) for item in value)


def _is_position(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= 2
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
        and -90 <= value[1] <= 90
    )
