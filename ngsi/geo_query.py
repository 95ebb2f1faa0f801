"""Geo-queries (clause 4.10): what GeoProperty of an entity must lie how to a reference geometry.

    georel   = near ";" distance "==" metres / "within" / "contains" / "intersects" / "equals" / "disjoint" / "overlaps"
    near     = "near"
    distance = "maxDistance" / "minDistance"
    metres   = number                                      ; of JSON, over 0

The relations are those of OGC Simple Features in the plane of longitude and latitude, where lines between positions
are straight (RFC 7946, section 3.1.1): a point on the border of a polygon intersects it and is not within it. Distances
are metres on the ground (`ngsi.geo_distance`). One instance of the GeoProperty suffices; an entity without it never
meets a query, not even `disjoint`. A self-intersecting polygon counts as the area that its line surrounds.
`broker.storage.mongo_geo` finds the entities that come into question; `compile` decides, here and there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import orjson
import shapely
from shapely.geometry import Point, shape
from shapely.geometry.base import BaseGeometry

from ngsi.context import Context
from ngsi.entity import Entity
from ngsi.errors import BadRequestData
from ngsi.geo import require_geometry
from ngsi.geo_distance import distance_m
from ngsi.names import require_name, show
from ngsi.vocabulary import GEOMETRY_TYPES

Relation = Literal["near", "beyond", "within", "contains", "intersects", "equals", "disjoint", "overlaps"]
"""`near` is within the maxDistance, `beyond` is over the minDistance."""

POSITIONS_MAX = 10_000
"""In a reference geometry: each candidate is compared with all of them."""

_RELATIONS: dict[str, Relation] = {
    "within": "within",
    "contains": "contains",
    "intersects": "intersects",
    "equals": "equals",
    "disjoint": "disjoint",
    "overlaps": "overlaps",
}
_NEAR = re.compile(r"near;(maxDistance|minDistance)==(.*)", re.DOTALL)
_NUMBER = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DEGREES_MAX = 1000
"""A longitude may go round the earth more than once; beyond this it is taken for no place at all."""
_FORM_BLANK = re.compile(r"(?<![eE])\+")
"""A blank as HTML forms write it in a URL: JSON has a plus in exponents only."""
_MEMBERS = ("georel", "geometry", "coordinates")


@dataclass(frozen=True, slots=True)
class GeoQuery:
    """A checked geo-query. `geoproperty` is a key; `distance_m` counts for `near` and `beyond` only."""

    relation: Relation
    reference: BaseGeometry
    geoproperty: str
    distance_m: float = 0.0


def parse(members: dict[str, Any], context: Context) -> GeoQuery | None:
    """The geo-query of the members georel, geometry, coordinates and geoproperty; None if none of the first three is.

    `coordinates` is an array, or the JSON text of one, as in a URL. Raises BadRequestData.
    """
    missing = [name for name in _MEMBERS if name not in members]
    if len(missing) == len(_MEMBERS):
        return None
    if missing:
        raise BadRequestData(
            f"The geo-query has no {' and no '.join(missing)}; it takes georel, geometry and coordinates together"
        )
    relation, metres = _georel(members["georel"])
    name = require_name(members.get("geoproperty", "location"), "geoproperty")
    return GeoQuery(relation, reference(members["geometry"], members["coordinates"]), context.expand(name), metres)


def _georel(text: object) -> tuple[Relation, float]:
    if isinstance(text, str) and text in _RELATIONS:
        return _RELATIONS[text], 0.0
    found = _NEAR.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadRequestData(
            f"georel {show(text)} is no relation; it is one of {', '.join(_RELATIONS)}, "
            "near;maxDistance==metres or near;minDistance==metres"
        )
    metres = float(found[2]) if _NUMBER.fullmatch(found[2]) else 0.0
    if not 0 < metres < inf:
        raise BadRequestData(f"georel: {found[1]} {show(found[2])} must be a number of metres over 0, such as 2000")
    return ("near" if found[1] == "maxDistance" else "beyond"), metres


def reference(kind: object, coordinates: object, what: str = "coordinates") -> BaseGeometry:
    """The geometry that entities are compared with, from its type and its coordinates (array, or the text of one)."""
    if not isinstance(kind, str) or kind not in GEOMETRY_TYPES:
        raise BadRequestData(f"geometry {show(kind)} is no geometry; it is one of {', '.join(sorted(GEOMETRY_TYPES))}")
    if isinstance(coordinates, str):
        try:
            coordinates = orjson.loads(_FORM_BLANK.sub(" ", coordinates))
        except orjson.JSONDecodeError as exc:
            raise BadRequestData(
                f"{what} {show(coordinates)} must be a JSON array such as [8.5,40.2], longitude first"
            ) from exc
    geometry = geometry_of(require_geometry({"type": kind, "coordinates": coordinates}, what))
    if geometry is None:
        raise BadRequestData(f"{what}: the {kind} has no position on the earth; give degrees, longitude first")
    if shapely.get_num_coordinates(geometry) > POSITIONS_MAX:
        raise BadRequestData(f"{what}: the {kind} has over {POSITIONS_MAX} positions; simplify it")
    shapely.prepare(geometry)
    return geometry


def geometry_of(value: Any) -> BaseGeometry | None:
    """A GeoJSON geometry, as a GeoProperty holds it, without heights and crossings.

    None without any position, or with one so far off the earth that it means no place.
    """
    if value["type"] == "Point":
        longitude, latitude = value["coordinates"][:2]
        return Point(longitude, latitude) if max(abs(longitude), abs(latitude)) <= _DEGREES_MAX else None
    geometry: BaseGeometry = shape({"type": value["type"], "coordinates": _flat(value["coordinates"])})
    # Not its bounds: those are of the outer rings only.
    if geometry.is_empty or abs(shapely.get_coordinates(geometry)).max() > _DEGREES_MAX:
        return None
    return geometry if geometry.is_valid else shapely.make_valid(geometry)


def _flat(coordinates: list[Any]) -> list[Any]:
    """Coordinates without heights, and without `[]` among their parts: GEOS has no place for nothing."""
    if coordinates and not isinstance(coordinates[0], list):
        return coordinates[:2]
    return [_flat(part) for part in coordinates if part]


def compile(query: GeoQuery) -> Callable[[Entity], bool]:  # noqa: A001  # always used as geo_query.compile
    """The query as a function on entities."""
    test = _test(query)
    key = query.geoproperty

    def holds(entity: Entity) -> bool:
        return any(
            _meets(instance["value"], test)
            for instance in entity.attributes.get(key, ())
            if instance["type"] == "GeoProperty"
        )

    return holds


def _meets(value: Any, test: Callable[[BaseGeometry], bool]) -> bool:
    geometry = geometry_of(value)
    return geometry is not None and test(geometry)


def _test(query: GeoQuery) -> Callable[[BaseGeometry], bool]:
    """What a geometry of an entity must be like. The reference is prepared, so it asks wherever it can."""
    reference, limit_m = query.reference, query.distance_m
    tests: dict[Relation, Callable[[BaseGeometry], bool]] = {
        "near": lambda geometry: distance_m(geometry, reference) <= limit_m,
        "beyond": lambda geometry: distance_m(geometry, reference) > limit_m,
        "within": reference.contains,
        "contains": reference.within,
        "intersects": reference.intersects,
        "equals": reference.equals,
        "disjoint": reference.disjoint,
        "overlaps": reference.overlaps,
    }
    return tests[query.relation]
