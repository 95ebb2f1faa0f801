"""Distances between geometries in metres, on the sphere, whatever the latitude.

Between two positions: the great circle on a sphere of the mean earth radius (haversine), which differs from the
ellipsoid's by 0.56 % at most. Between other geometries: the great circle between their two nearest points. These are
looked for in the plane of longitude and latitude, with longitudes shortened as they are on the ground. The answer is
never under the true distance; compared with a search step by step it was over it by less than 0.1 % for geometries up
to 6° in size and 1,000 km apart (also at 88° north), and by up to 1 % for lines from one continent to another.
"""

from collections.abc import Iterable
from math import asin, cos, degrees, inf, pi, radians, sin, sqrt

import shapely
from shapely.affinity import affine_transform
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

EARTH_RADIUS_M = 6_371_008.8
"""The mean radius of the WGS 84 ellipsoid (IUGG)."""

Box = tuple[float, float, float, float]
"""West, south, east, north, in degrees."""

_REFINEMENTS = 3
_COMPARISONS_MAX = 100_000
_FLATTEST = 1e-6
_ROUNDING = 1e-7  # radians; the arc sine of great_circle_m is that coarse near the antipodes


def distance_m(one: BaseGeometry, other: BaseGeometry) -> float:
    """The distance of two geometries, neither of them empty; 0 where they touch."""
    if isinstance(one, Point) and isinstance(other, Point):
        return great_circle_m(one.x, one.y, other.x, other.y)
    return min(_nearest_m(one, moved) for moved in _around_the_world(one, other))


def great_circle_m(west: float, south: float, east: float, north: float) -> float:
    """The great circle between two positions, given as longitude, latitude, longitude, latitude in degrees."""
    low, high = radians(south), radians(north)
    chord = sin((high - low) / 2) ** 2 + cos(low) * cos(high) * sin(radians(east - west) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, max(0.0, chord))))


def reach(bounds: Box, distance_m: float) -> list[Box]:
    """Boxes of the world that together hold all that is within a distance of a box of it: one, or two at ±180°."""
    west, south, east, north = bounds
    angle = distance_m / EARTH_RADIUS_M + _ROUNDING
    if angle >= pi:
        return [(-180.0, -90.0, 180.0, 90.0)]
    south, north = south - degrees(angle), north + degrees(angle)
    if south <= -90 or north >= 90:
        return [(-180.0, max(south, -90.0), 180.0, min(north, 90.0))]
    farthest = radians(max(abs(bounds[1]), abs(bounds[3])))
    aside = degrees(asin(min(1.0, sin(angle) / cos(farthest)))) + 1e-9
    west, east = west - aside, east + aside
    if east - west >= 360:
        return [(-180.0, south, 180.0, north)]
    if west < -180:
        return [(-180.0, south, east, north), (west + 360, south, 180.0, north)]
    if east > 180:
        return [(west, south, 180.0, north), (-180.0, south, east - 360, north)]
    return [(west, south, east, north)]


def _around_the_world(one: BaseGeometry, other: BaseGeometry) -> Iterable[BaseGeometry]:
    """The other geometry, and where it lies when one goes round by ±180° if that may be nearer."""
    yield other
    near, far = one.bounds, other.bounds
    if far[2] - near[0] > 180:
        yield _moved(other, -360.0)
    if near[2] - far[0] > 180:
        yield _moved(other, 360.0)


def _nearest_m(one: BaseGeometry, other: BaseGeometry) -> float:
    """The least great circle between points that some guess of the latitude makes out to be the nearest ones."""
    if one.intersects(other):
        return 0.0
    latitudes = {*one.bounds[1::2], *other.bounds[1::2]}
    least, latitude = min(_nearest_at(one, other, latitude) for latitude in latitudes)
    if shapely.get_num_coordinates(one) * shapely.get_num_coordinates(other) <= _COMPARISONS_MAX:
        least = min(least, _from_corners_m(one, other, latitude), _from_corners_m(other, one, latitude))
    return least


def _nearest_at(one: BaseGeometry, other: BaseGeometry, latitude: float) -> tuple[float, float]:
    """The great circle between the nearest points in a plane that is right at a latitude, and the latitude of these."""
    least, found_at = inf, latitude
    for _ in range(_REFINEMENTS):
        shrink = _shrink(latitude)
        line = shapely.shortest_line(_shrunk(one, shrink), _shrunk(other, shrink))
        (west, south), (east, north) = line.coords
        found = great_circle_m(west / shrink, south, east / shrink, north)
        latitude = (south + north) / 2
        if found >= least:
            break
        least, found_at = found, latitude
    return least, found_at


def _from_corners_m(one: BaseGeometry, other: BaseGeometry, latitude: float) -> float:
    """The least great circle from a corner of one geometry.

    Along lines that run side by side all distances are the same in the plane; on the ground they end where it is least.
    """
    shrink = _shrink(latitude)
    corners = shapely.points(shapely.get_coordinates(_shrunk(one, shrink)))
    lines = shapely.get_coordinates(shapely.shortest_line(corners, _shrunk(other, shrink))).tolist()
    return min(
        great_circle_m(west / shrink, south, east / shrink, north)
        for (west, south), (east, north) in zip(lines[::2], lines[1::2], strict=True)
    )


def _shrink(latitude: float) -> float:
    return max(_FLATTEST, cos(radians(latitude)))


def _shrunk(geometry: BaseGeometry, shrink: float) -> BaseGeometry:
    return affine_transform(geometry, [shrink, 0, 0, 1, 0, 0])


def _moved(geometry: BaseGeometry, degrees_east: float) -> BaseGeometry:
    return affine_transform(geometry, [1, 0, 0, 1, degrees_east, 0])
