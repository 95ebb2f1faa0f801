"""What a geo-query holds for (clause 4.10), and what is refused as one."""

from typing import Any

import pytest
from hypothesis import given, settings

from ngsi import geo_query
from ngsi.context import CORE
from ngsi.entity import Entity
from ngsi.errors import BadRequestData
from ngsi.geo_distance import distance_m, great_circle_m
from tests.ngsi import geo_strategies

pytestmark = pytest.mark.clause("4.10")

AT = "2026-03-01T08:00:00.000Z"
SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]], [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]]]


def entity(*geometries: dict[str, Any], key: str = "ngsi-ld:location") -> Entity:
    instances = [{"type": "GeoProperty", "value": value, "createdAt": AT, "modifiedAt": AT} for value in geometries]
    return Entity("urn:x:1", ["T"], AT, AT, {key: instances} if instances else {})


def point(longitude: float, latitude: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def holds(found: Entity, georel: str, geometry: str, coordinates: Any, **members: str) -> bool:
    query = geo_query.parse({"georel": georel, "geometry": geometry, "coordinates": coordinates, **members}, CORE)
    assert query is not None
    return geo_query.compile(query)(found)


@pytest.mark.parametrize(
    ("georel", "at", "expected"),
    [
        ("within", (2, 2), True),
        ("within", (5, 5), False),  # in the hole
        ("within", (0, 5), False),  # on the border
        ("intersects", (0, 5), True),
        ("intersects", (11, 5), False),
        ("disjoint", (11, 5), True),
        ("disjoint", (5, 5), True),
        ("contains", (2, 2), False),
        ("overlaps", (2, 2), False),
    ],
)
def test_a_point_and_a_polygon_with_a_hole(georel: str, at: tuple[float, float], expected: bool) -> None:
    assert holds(entity(point(*at)), georel, "Polygon", SQUARE) is expected


def test_areas_and_lines() -> None:
    area = entity({"type": "Polygon", "coordinates": [[[5, 5], [15, 5], [15, 15], [5, 15], [5, 5]]]})
    assert holds(area, "overlaps", "Polygon", SQUARE)
    assert holds(area, "contains", "LineString", [[6, 6], [14, 14]])
    assert holds(area, "equals", "Polygon", [[[15, 15], [15, 5], [10, 5], [5, 5], [5, 15], [15, 15]]])
    crossing = entity({"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]})
    assert holds(crossing, "contains", "Point", "[0.2,1]")
    assert not holds(crossing, "contains", "Point", "[1,0.2]")


def test_the_geoproperty_is_location_unless_another_is_named() -> None:
    elsewhere = entity(point(8, 40), key="ngsi-ld:observationSpace")
    assert not holds(elsewhere, "equals", "Point", [8, 40])
    assert holds(elsewhere, "equals", "Point", [8, 40], geoproperty="observationSpace")
    assert not holds(entity(), "disjoint", "Point", [8, 40])
    assert holds(elsewhere, "equals", "Point", "[0.8e+1,+40]", geoproperty="observationSpace")
    assert holds(entity(point(1, 1), point(8, 40)), "equals", "Point", [8, 40])
    plain = Entity("urn:x:1", ["T"], AT, AT, {"place": [{"type": "Property", "value": point(8, 40)}]})
    assert not holds(plain, "equals", "Point", [8, 40], geoproperty="place")


@pytest.mark.parametrize(
    ("where", "geometry", "coordinates", "metres"),
    [
        ((10, 60.009), "LineString", [[0, 60], [10, 60]], 1_001),
        ((1, 85), "Point", [0, 85], 9_691),
        ((179.9, 0), "Point", [-179.9, 0], 22_239),
        ((-179.9, 0), "LineString", [[179.9, -1], [179.9, 1]], 22_239),
        ((0, 89), "LineString", [[170, 89], [190, 89]], 222_390),
        ((8, 40), "Polygon", [[[7, 39], [9, 39], [9, 41], [7, 41], [7, 39]]], 0),
        ((500, 40), "Point", [140, 40], 0),
    ],
)
def test_distances_are_metres_on_the_ground(
    where: tuple[float, float], geometry: str, coordinates: list[Any], metres: float
) -> None:
    near, far = max(1.0, metres * 1.01), max(0.5, metres * 0.99)
    assert holds(entity(point(*where)), f"near;maxDistance=={near}", geometry, coordinates)
    assert not holds(entity(point(*where)), f"near;minDistance=={near}", geometry, coordinates)
    assert holds(entity(point(*where)), f"near;minDistance=={far}", geometry, coordinates) is (metres > 0)


@pytest.mark.parametrize("georel", [*geo_strategies.RELATIONS, "near;maxDistance==1e9", "near;minDistance==1"])
@pytest.mark.parametrize("far", [1e308, -1e308, 2**63, 1001])
def test_what_is_off_the_earth_is_nowhere(georel: str, far: float) -> None:
    for found in (
        entity(point(far, 0)),
        entity({"type": "LineString", "coordinates": [[0, 0], [1, far]]}),
        entity({"type": "Polygon", "coordinates": [[[0, 0], [-far, 0], [far, far], [0, 0]]]}),
    ):
        assert not holds(found, georel, "Polygon", SQUARE)


def test_the_great_circle_is_that_of_the_mean_earth() -> None:
    assert great_circle_m(2.3508, 48.8567, -74.0061, 40.7128) == pytest.approx(5_837_400, rel=1e-3)
    assert great_circle_m(0, 0, 180, 0) == pytest.approx(20_015_115, rel=1e-6)


@settings(max_examples=200, deadline=None)
@given(geo_strategies.geometries, geo_strategies.geometries)
def test_distances_are_symmetric_and_never_below_zero(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = geo_query.geometry_of(one), geo_query.geometry_of(other)
    if first is not None and second is not None:
        there, back = distance_m(first, second), distance_m(second, first)
        assert there >= 0
        assert there == pytest.approx(back, rel=1e-2, abs=1e-3)


@settings(max_examples=200, deadline=None)
@given(geo_strategies.geo_queries(), geo_strategies.geometries)
def test_every_right_query_has_an_answer_for_every_geometry(members: dict[str, Any], value: dict[str, Any]) -> None:
    query = geo_query.parse(members, CORE)
    assert query is not None
    found = entity(value, key=query.geoproperty)
    answer = geo_query.compile(query)(found)
    opposite = {"intersects": "disjoint", "disjoint": "intersects"}.get(members["georel"])
    if opposite and geo_query.geometry_of(value) is not None:
        contrary = geo_query.parse(members | {"georel": opposite}, CORE)
        assert contrary is not None
        assert geo_query.compile(contrary)(found) is not answer


RIGHT = {"georel": "within", "geometry": "Point", "coordinates": "[8,40]"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"georel": "touches"}, "'touches' is no relation"),
        ({"georel": "near"}, "'near' is no relation"),
        ({"georel": "near;maxDistance==5;minDistance==1"}, "over 0"),
        *[({"georel": f"near;maxDistance=={text}"}, "over 0") for text in ("0", "-1", "inf", "1e400", "", "x", "0x1")],
        ({"georel": ["within"]}, "no relation"),
        ({"geometry": "GeometryCollection"}, "no geometry"),
        ({"geometry": 5}, "no geometry"),
        ({"coordinates": "8,40"}, "JSON array"),
        ({"coordinates": "[8,NaN]"}, "JSON array"),
        ({"coordinates": "[[8,40]]"}, "do not have its shape"),
        ({"geometry": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}, "closed"),
        ({"geometry": "MultiPoint", "coordinates": []}, "no position"),
        ({"coordinates": "[1e308,0]"}, "no position on the earth"),
        ({"coordinates": "[8,-187]"}, "a latitude is between -90 and 90"),
        ({"geometry": "MultiPoint", "coordinates": [[1, 1]] * 10_001}, "simplify"),
        ({"geoproperty": "no name"}, "not a legal name"),
        ({"coordinates": "[" * 2000}, "JSON array"),
    ],
)
def test_what_is_wrong_is_said(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(BadRequestData, match=says):
        geo_query.parse(RIGHT | wrong, CORE)


@pytest.mark.parametrize("missing", ["georel", "geometry", "coordinates"])
def test_the_three_members_go_together(missing: str) -> None:
    with pytest.raises(BadRequestData, match=f"no {missing}"):
        geo_query.parse({name: value for name, value in RIGHT.items() if name != missing}, CORE)
    assert geo_query.parse({"geoproperty": "location"}, CORE) is None
