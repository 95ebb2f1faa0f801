"""Where geometries lie, as index entries, and a geo-query as a filter on them.

The earth is a square of longitude and latitude, cut into four again and again. A cell is named by its way down, a digit
for each cut; "" is the whole earth. Field `geo` of an entity's document lists, for each of its GeoProperties, the cells
that together hold it, as "<key> <cell>": one for a position, up to four for anything larger. It is a list of plain
texts, so that no geometry can be refused by its index, and a sparse index, which entities elsewhere do not pay for.

A query covers its own region with cells. Two regions can touch only where a cell of one is, or is in, a cell of the
other: so those entities are *candidates*, whose geometries are then compared exactly (`ngsi.geo_query`). Of some the
cells alone tell that they meet the query: the *certain* ones, which need not be read to be counted.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import shapely
from bson import Regex
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from ngsi.entity import Attributes
from ngsi.geo_distance import EARTH_RADIUS_M, Box, great_circle_m, reach
from ngsi.geo_query import GeoQuery

Filter = dict[str, Any]

LEVEL_MAX = 20
"""Cuts down to the smallest cell: 38 m of longitude at the equator."""

PIECES_TO_FIND = 24
PIECES_TO_COUNT = 120
"""How finely a query's region is cut. Small pieces spare comparisons and make the filter longer: what is counted is
compared to the last, what is found only to the end of the page."""

_QUARTER_M = EARTH_RADIUS_M * 1.57
_WORLD: Box = (-180.0, -90.0, 180.0, 90.0)
_EVERYWHERE = ""
_MARGIN = 1e-9


@dataclass(frozen=True, slots=True)
class GeoFilter:
    """`candidates` finds every entity that meets the query and some more.

    To count those that meet it, add up the numbers of entities that `counted` find, each with its sign, and those of
    the `doubtful` ones that meet it. What the query's other conditions are goes with each filter.
    """

    candidates: Filter
    counted: tuple[tuple[int, Filter], ...]
    doubtful: Filter


def cells(attributes: Attributes) -> list[str]:
    """The field `geo` of an entity with these attributes; empty for one without GeoProperties."""
    found: dict[str, None] = {}
    for key, instances in attributes.items():
        for instance in instances:
            if instance["type"] == "GeoProperty":
                box = _box(instance["value"]["coordinates"])
                found.update((f"{key} {cell}", None) for cell in (() if box is None else cells_of_box(box)))
    return list(found)


@lru_cache(maxsize=10_000)
def cells_of_box(box: Box) -> tuple[str, ...]:
    """Up to four cells that hold a box; the whole earth for what is not on it."""
    if not _is_on_earth(box):
        return (_EVERYWHERE,)
    west, south, east, north = box
    size = max((east - west) / 360, (north - south) / 180)
    level = 0
    while level < LEVEL_MAX and size <= 0.5 ** (level + 1):
        level += 1
    columns = range(_step(west, -180, 360, level), _step(east, -180, 360, level) + 1)
    rows = range(_step(south, -90, 180, level), _step(north, -90, 180, level) + 1)
    return tuple(_name(column, row, level) for column in columns for row in rows)


def geo_filter(query: GeoQuery, now: str, piece_count: int = PIECES_TO_FIND) -> GeoFilter:
    """The filters that find entities for a geo-query at a time; its region is cut into about so many pieces."""
    prefix = f"{query.geoproperty} "
    has_one: Filter = {"geo": {"$in": [_below(prefix)]}}
    bounds: Box = query.reference.bounds
    if not _is_on_earth(bounds):
        return GeoFilter(has_one, (), has_one)
    # What has expired may still be listed in `geo`.
    settled: Filter = {"due": {"$not": {"$lte": now}}}
    cover, inner = _near(query, piece_count) if query.distance_m else _cover(query.reference, piece_count)
    touching: Filter = {
        "geo": {
            "$in": [
                *sorted({prefix + cell[:length] for cell in cover for length in range(len(cell))}),
                *[_below(prefix + cell) for cell in sorted(set(cover))],
            ]
        }
    }
    if query.relation in ("disjoint", "beyond"):
        counted = ((1, {"$and": [has_one, settled]}), (-1, {"$and": [touching, settled]}))
        return GeoFilter(has_one, counted, {"$or": [touching, {"$and": [has_one, {"due": {"$lte": now}}]}]})
    if query.relation in ("near", "within", "intersects") and inner:
        certain = {"$and": [{"geo": {"$in": [_below(prefix + cell) for cell in inner], "$size": 1}}, settled]}
        return GeoFilter(touching, ((1, certain),), {"$and": [touching, {"$nor": [certain]}]})
    return GeoFilter(touching, (), touching)


def _below(prefix: str) -> Regex[str]:
    """This cell and all in it. Without flags, so that MongoDB sees a range of its index in it."""
    return Regex("^" + re.sub(r"([^\w ])", r"\\\1", prefix, flags=re.ASCII))


def _cover(geometry: BaseGeometry, piece_count: int) -> tuple[list[str], list[str]]:
    """Cells that hold the geometry, and those of them that lie in its interior."""

    def sort_out(names: list[str]) -> tuple[list[str], list[str]]:
        sides = [list(side) for side in zip(*(_grown(_box_of_cell(name)) for name in names), strict=True)]
        boxes: Any = shapely.box(sides[0], sides[1], sides[2], sides[3])
        inside = shapely.contains_properly(geometry, boxes).tolist()
        touched = shapely.intersects(geometry, boxes).tolist()
        inner = [name for name, is_in in zip(names, inside, strict=True) if is_in]
        border = [name for name, is_in, is_hit in zip(names, inside, touched, strict=True) if is_hit and not is_in]
        return border, inner

    return _refined(cells_of_box(geometry.bounds), sort_out, piece_count)


def _near(query: GeoQuery, piece_count: int) -> tuple[list[str], list[str]]:
    """Cells that hold all within a distance of the reference; those wholly within it, if that is a position."""
    around, origin = reach(query.reference.bounds, query.distance_m), query.reference
    if not isinstance(origin, Point):
        return _cover(shapely.union_all([shapely.box(*box) for box in around]), piece_count)[0], []

    def sort_out(names: list[str]) -> tuple[list[str], list[str]]:
        border: list[str] = []
        inner: list[str] = []
        for name in names:
            west, south, east, north = _grown(_box_of_cell(name))
            longitude, latitude = (west + east) / 2, (south + north) / 2
            # The corners are what is farthest from the middle, as long as that is less than a quarter of the earth.
            radius_m = max(great_circle_m(longitude, latitude, east, side) for side in (south, north))
            away_m = great_circle_m(origin.x, origin.y, longitude, latitude)
            if away_m - radius_m > query.distance_m and radius_m < _QUARTER_M:
                continue
            is_inside = away_m + radius_m < query.distance_m and radius_m < _QUARTER_M
            (inner if is_inside else border).append(name)
        return border, inner

    return _refined([cell for box in around for cell in cells_of_box(box)], sort_out, piece_count)


def _refined(
    names: Iterable[str], sort_out: Callable[[list[str]], tuple[list[str], list[str]]], piece_count: int
) -> tuple[list[str], list[str]]:
    """Cuts cells on the border of a region into smaller ones as long as there are few.

    `sort_out` tells those on the border from those inside; the rest of them lies outside.
    """
    border, inner = sort_out(list(dict.fromkeys(names)))
    while border and len(border) * 2 + len(inner) <= piece_count and max(map(len, border)) < LEVEL_MAX:
        border, more = sort_out([name + digit for name in border for digit in "0123"])
        inner += more
    return [*border, *inner], inner


def _grown(box: Box) -> Box:
    """A little more than the box: a position on its border may be held, by rounding, in the cell beside it."""
    west, south, east, north = box
    return west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN


def _box_of_cell(cell: str) -> Box:
    west, south, width, height = -180.0, -90.0, 360.0, 180.0
    for digit in cell:
        width, height = width / 2, height / 2
        west += width * (int(digit) & 1)
        south += height * (int(digit) >> 1)
    return west, south, west + width, south + height


def _step(degrees: float, least: float, extent: float, level: int) -> int:
    """The number of the column, or row, of a level that a degree lies in; the last one holds its far border too."""
    count: int = 1 << level
    return min(count - 1, int((degrees - least) / extent * count))


def _name(column: int, row: int, level: int) -> str:
    return "".join(str((column >> bit & 1) | (row >> bit & 1) << 1) for bit in reversed(range(level)))


def _is_on_earth(box: Box) -> bool:
    return box[0] >= _WORLD[0] and box[1] >= _WORLD[1] and box[2] <= _WORLD[2] and box[3] <= _WORLD[3]


def _box(coordinates: list[Any]) -> Box | None:
    """The box around all positions of GeoJSON coordinates, None if there are none."""
    if coordinates and not isinstance(coordinates[0], list):
        return (coordinates[0], coordinates[1], coordinates[0], coordinates[1])
    boxes = [box for part in coordinates if (box := _box(part)) is not None]
    if not boxes:
        return None
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
