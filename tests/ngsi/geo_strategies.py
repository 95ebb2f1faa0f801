"""Generated geometries and geo-queries, as clients send them: near one another, so that they often touch."""

from typing import Any

from hypothesis import strategies as st

RELATIONS = ["within", "contains", "intersects", "equals", "disjoint", "overlaps"]

# A coarse grid, so that borders coincide; now and then the far corners of the world, and beyond it.
_longitudes = st.integers(0, 8).map(lambda step: 10 + step / 2) | st.sampled_from(
    [-180, -179.9, 0, 179.5, 180, 200, 1e308]
)
_latitudes = st.integers(0, 8).map(lambda step: 50 + step / 2) | st.sampled_from([-90, -22.5, 0, 45, 89.5, 90])
positions = st.tuples(_longitudes, _latitudes).map(list)
_lines = st.lists(positions, min_size=2, max_size=4)
_rings = st.lists(positions, min_size=3, max_size=5).map(lambda ring: [*ring, ring[0]])
_boxes = st.tuples(positions, st.sampled_from([0.25, 1, 3]), st.sampled_from([0.5, 2])).map(
    lambda item: [
        [x, y]
        for x, y in (
            (item[0][0], item[0][1]),
            (item[0][0] + item[1], item[0][1]),
            (item[0][0] + item[1], min(item[0][1] + item[2], 90)),
            (item[0][0], min(item[0][1] + item[2], 90)),
            (item[0][0], item[0][1]),
        )
    ]
)
_polygons = st.lists(_boxes | _rings, min_size=1, max_size=2) | st.builds(lambda box: [box], _boxes)

geometries = st.one_of(
    *[
        st.builds(lambda coordinates, kind=kind: {"type": kind, "coordinates": coordinates}, coordinates)
        for kind, coordinates in {
            "Point": positions,
            "MultiPoint": st.lists(positions, max_size=3),
            "LineString": _lines,
            "MultiLineString": st.lists(_lines, min_size=1, max_size=2),
            "Polygon": _polygons,
            "MultiPolygon": st.lists(_polygons, min_size=1, max_size=2),
        }.items()
    ]
)

georels = st.sampled_from(RELATIONS) | st.builds(
    lambda modifier, metres: f"near;{modifier}=={metres}",
    st.sampled_from(["maxDistance", "minDistance"]),
    st.sampled_from([1, 1000, 55_000, 300_000.5, 5e6, 1.9e7, 1e9]),
)


def is_somewhere(value: dict[str, Any]) -> bool:
    return value["coordinates"] != [] and "1e+308" not in repr(value)


@st.composite
def geo_queries(draw: st.DrawFn) -> dict[str, Any]:
    """Members of a geo-query that is right."""
    geometry = draw(geometries.filter(is_somewhere))
    members = {"georel": draw(georels), "geometry": geometry["type"], "coordinates": geometry["coordinates"]}
    return members | draw(st.sampled_from([{}, {}, {"geoproperty": "observationSpace"}, {"geoproperty": "place"}]))
