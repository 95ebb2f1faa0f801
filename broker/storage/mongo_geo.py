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
from dataclasses import dataclass
from typing import Any

import shapely
from bson import Regex
from shapely.geometry.base import BaseGeometry

from ngsi.entity import Attributes
from ngsi.geo_distance import Box, reach
from ngsi.geo_query import GeoQuery

Filter = dict[str, Any]

LEVEL_MAX = 20
"""Cuts down to the smallest cell: 38 m of longitude at the equator."""

_COVER_COUNT_MAX = 24
_WORLD: Box = (-180.0, -90.0, 180.0, 90.0)
_EVERYWHERE = ""
_MARGIN = 1e-9


@dataclass(frozen=True, slots=True)
class GeoFilter:
    """`candidates` finds every entity that meets the query and some more, `certain` only ones that do (None: none)."""

    candidates: Filter
    certain: Filter | None = None


def cells(attributes: Attributes) -> list[str]:
    """The field `geo` of an entity with these attributes; empty for one without GeoProperties."""
    found: dict[str, None] = {}
    for key, instances in attributes.items():
        for instance in instances:
            if instance["type"] == "GeoProperty":
                box = _box(instance["value"]["coordinates"])
                found.update((f"{key} {cell}", None) for cell in ([] if box is None else cells_of_box(box)))
    return list(found)


def cells_of_box(box: Box) -> list[str]:
    """Up to four cells that hold a box; the whole earth for what is not on it."""
    if not _is_on_earth(box):
        return [_EVERYWHERE]
    west, south, east, north = box
    size = max((east - west) / 360, (north - south) / 180)
    level = 0
    while level < LEVEL_MAX and size <= 0.5 ** (level + 1):
        level += 1
    columns = range(_step(west, -180, 360, level), _step(east, -180, 360, level) + 1)
    rows = range(_step(south, -90, 180, level), _step(north, -90, 180, level) + 1)
    return [_name(column, row, level) for column in columns for row in rows]


def geo_filter(query: GeoQuery) -> GeoFilter:
    """The filters that find entities for a geo-query."""
    prefix = f"{query.geoproperty} "
    has_one: Filter = {"geo": {"$in": [_below(prefix)]}}
    bounds: Box = query.reference.bounds
    if not _is_on_earth(bounds):
        return GeoFilter(has_one)
    near = query.relation in ("near", "beyond")
    if near:
        cover = [cell for box in reach(bounds, query.distance_m) for cell in _cover(shapely.box(*box))[0]]
        inner: list[str] = []
    else:
        cover, inner = _cover(query.reference)
    touching = {
        "$in": [
            *sorted({prefix + cell[:length] for cell in cover for length in range(len(cell))}),
            *[_below(prefix + cell) for cell in sorted(set(cover))],
        ]
    }
    if query.relation in ("disjoint", "beyond"):
        return GeoFilter(has_one, {"$and": [has_one, {"geo": {"$not": touching}}]})
    if query.relation in ("within", "intersects") and inner:
        within = {"$in": [_below(prefix + cell) for cell in inner]}
        return GeoFilter({"geo": touching}, {"geo": within | {"$size": 1}})
    return GeoFilter({"geo": touching})


def _below(prefix: str) -> Regex[str]:
    """This cell and all in it. Without flags, so that MongoDB sees a range of its index in it."""
    return Regex("^" + re.sub(r"([^\w ])", r"\\\1", prefix, flags=re.ASCII))


def _cover(geometry: BaseGeometry) -> tuple[list[str], list[str]]:
    """Cells that hold the geometry, and those of them that lie in its interior."""
    open_cells = cells_of_box(geometry.bounds)
    inner: list[str] = []
    while open_cells and len(open_cells) * 4 + len(inner) <= _COVER_COUNT_MAX and len(open_cells[0]) < LEVEL_MAX:
        smaller = [cell + digit for cell in open_cells for digit in "0123"]
        open_cells = []
        for cell in smaller:
            box = shapely.box(*_grown(_box_of_cell(cell)))
            if geometry.contains_properly(box):
                inner.append(cell)
            elif geometry.intersects(box):
                open_cells.append(cell)
    return [*open_cells, *inner], inner


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
