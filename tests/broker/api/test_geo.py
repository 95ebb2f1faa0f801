"""Geo-queries, scopes, GeoJSON and ordering over HTTP."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.broker.api.conftest import Api

TENANT = {"NGSILD_Tenant": "places"}


def place(short: str, longitude: float, latitude: float, **members: Any) -> dict[str, Any]:
    location = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [longitude, latitude]}}
    return {"id": f"urn:ngsi-ld:Place:{short}", "type": "Place", "location": location, **members}


def named(text: str) -> dict[str, Any]:
    return {"type": "Property", "value": text}


@pytest.fixture(scope="module", autouse=True)
async def places(api: Api) -> None:
    area = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}
    crossing = {"type": "Polygon", "coordinates": [[[30, 0], [32, 2], [32, 0], [30, 2], [30, 0]]]}
    status, _, _ = await api(
        "POST",
        "entityOperations/create",
        [
            place("north", 8, 40.01, name=named("b"), scope="/Settat/Park"),
            place("here", 8, 40, name=named("á"), scope=["/Settat/Hall/Ground", "/Labs"]),
            place("far", 10, 45, name=named("A"), size={"type": "Property", "value": 5}),
            {"id": "urn:ngsi-ld:Place:area", "type": "Place", "location": {"type": "GeoProperty", "value": area}},
            {
                "id": "urn:ngsi-ld:Place:crossing",
                "type": "Place",
                "location": {"type": "GeoProperty", "value": crossing},
            },
            {"id": "urn:ngsi-ld:Place:nowhere", "type": "Place", "size": {"type": "Property", "value": "big"}},
        ],
        **TENANT,
    )
    assert status == 201


async def found(api: Api, parameters: str, **headers: str) -> list[str]:
    path = "entities?type=Place&" + quote(parameters, safe="=&,;")
    status, _, entities = await api("GET", path, **TENANT, **headers)
    assert status == 200, entities
    return [entity["id"].rpartition(":")[2] for entity in entities]


@pytest.mark.clause("4.10")
@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ("georel=near;maxDistance==2000&geometry=Point&coordinates=[8,40]", ["here", "north"]),
        ("georel=near;maxDistance==2000&geometry=Point&coordinates=[8,40]&limit=1&offset=1", ["north"]),
        ("georel=near;minDistance==2000&geometry=Point&coordinates=[8,40]", ["area", "crossing", "far"]),
        (
            "georel=within&geometry=Polygon&coordinates=[[[7,39],[11,39],[11,46],[7,46],[7,39]]]",
            ["far", "here", "north"],
        ),
        ("georel=contains&geometry=Point&coordinates=[5,5]", ["area"]),
        ("georel=overlaps&geometry=Polygon&coordinates=[[[5,5],[15,5],[15,15],[5,15],[5,5]]]", ["area"]),
        ("georel=equals&geometry=Point&coordinates=[10,45]", ["far"]),
        ("georel=disjoint&geometry=Point&coordinates=[10,45]", ["area", "crossing", "here", "north"]),
        ("georel=intersects&geometry=LineString&coordinates=[[30.1,1],[30.2,1]]", ["crossing"]),
        ("georel=within&geometry=Point&coordinates=[8,40]&geoproperty=observationSpace", []),
        ('georel=disjoint&geometry=Point&coordinates=[0,89]&q=name=="A"', ["far"]),
    ],
)
async def test_entities_are_found_by_where_they_are(api: Api, parameters: str, names: list[str]) -> None:
    assert await found(api, parameters) == names
    _, headers, _ = await api(
        "GET",
        "entities?count=true&limit=0&type=Place&" + quote(parameters.partition("&limit")[0], safe="=&,;"),
        **TENANT,
    )
    assert int(headers["ngsild-results-count"]) >= len(names)
    if "limit" not in parameters:
        assert int(headers["ngsild-results-count"]) == len(names)


@pytest.mark.clause("5.7.2")
async def test_a_geo_query_is_narrow_enough_and_goes_into_a_body(api: Api) -> None:
    status, _, entities = await api("GET", "entities?georel=equals&geometry=Point&coordinates=%5B10,45%5D", **TENANT)
    assert (status, len(entities)) == (200, 1)
    body = {
        "type": "Query",
        "entities": [{"type": "Place"}],
        "geoQ": {"georel": "near;maxDistance==2000", "geometry": "Point", "coordinates": [8, 40]},
        "ordering": {"orderBy": ["location;dist-desc"], "coordinates": [8, 40]},
    }
    status, _, entities = await api("POST", "entityOperations/query", body, **TENANT)
    assert [entity["id"] for entity in entities] == ["urn:ngsi-ld:Place:north", "urn:ngsi-ld:Place:here"]
    status, _, refusal = await api("GET", "entities?type=Place&georel=within", **TENANT)
    assert (status, refusal["title"]) == (400, "Bad request data")


@pytest.mark.clause("4.19")
@pytest.mark.parametrize(
    ("scope_query", "names"),
    [
        ("/Settat/#", ["here", "north"]),
        ("/Settat/Park", ["north"]),
        ("/Settat/+/Ground;/Labs", ["here"]),
        ("/Elsewhere|/Labs", ["here"]),
        ("/#", ["here", "north"]),
    ],
)
async def test_entities_are_found_by_scope(api: Api, scope_query: str, names: list[str]) -> None:
    assert await found(api, f"scopeQ={scope_query}") == names


@pytest.mark.clause("4.23")
@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ("orderBy=name", ["far", "north", "here", "area", "crossing", "nowhere"]),
        ("orderBy=name;desc", ["here", "north", "far", "area", "crossing", "nowhere"]),
        ("orderBy=name&collation=und", ["far", "here", "north", "area", "crossing", "nowhere"]),
        ("orderBy=name;desc&collation=fr-MA&limit=2", ["north", "here"]),
        ("orderBy=size,name&limit=3", ["far", "nowhere", "north"]),
        ("orderBy=size,name&limit=2&offset=2", ["north", "here"]),
        ("orderBy=location;dist-asc&orderFrom=[8,40]", ["here", "north", "far", "area", "crossing", "nowhere"]),
        ("orderBy=location;dist-desc&orderFrom=[8,40]&limit=2", ["crossing", "area"]),
        ("orderBy=type,id;desc&limit=2", ["nowhere", "north"]),
        ("orderBy=createdAt,id;desc&collation=en&limit=2", ["nowhere", "north"]),
        ("orderBy=scope;desc,location.createdAt,id&limit=2", ["here", "north"]),
        ("orderBy=name&georel=near;maxDistance==2000&geometry=Point&coordinates=[8,40]", ["north", "here"]),
    ],
)
async def test_entities_come_in_the_order_asked_for(api: Api, parameters: str, names: list[str]) -> None:
    assert await found(api, parameters) == names


@pytest.mark.clause("4.23")
@pytest.mark.parametrize(
    "parameters",
    [
        "orderBy=location;dist-asc",
        "orderBy=location;dist-asc&orderFrom=8,40",
        "orderBy=name;up",
        "orderBy=",
        "orderBy=name,",
        "orderBy=name==5",
        "orderBy=id;dist-asc&orderFrom=[8,40]",
        "orderBy=name&collation=!!nope",
        "orderBy=name&collation=tlh",
        "orderBy=name&collation=de-u-co-stroke",
        "orderBy=name&collation=de-u-kx-yes",
    ],
)
async def test_an_order_that_cannot_be_had_is_refused(api: Api, parameters: str) -> None:
    status, _, refusal = await api("GET", f"entities?type=Place&{quote(parameters, safe='=&,;')}", **TENANT)
    assert (status, refusal["title"]) == (400, "Bad request data")


@pytest.mark.clause("4.5.16")
async def test_entities_are_shown_as_geojson(api: Api) -> None:
    status, headers, shown = await api("GET", "entities/urn:ngsi-ld:Place:far", Accept="application/geo+json", **TENANT)
    assert (status, headers["content-type"]) == (200, "application/geo+json")
    assert shown["type"] == "Feature"
    assert shown["geometry"] == {"type": "Point", "coordinates": [10, 45]}
    assert shown["properties"]["type"] == "Place"
    assert shown["properties"]["name"] == {"type": "Property", "value": "A"}
    assert "id" not in shown["properties"]
    assert "@context" in shown
    status, headers, shown = await api(
        "GET",
        "entities?type=Place&options=keyValues&orderBy=id;desc&limit=2",
        Accept="application/geo+json",
        Prefer="body=json",
        **TENANT,
    )
    assert (shown["type"], "@context" in shown, "json-ld#context" in headers["link"]) == (
        "FeatureCollection",
        False,
        True,
    )
    assert shown["features"][0] == {
        "id": "urn:ngsi-ld:Place:nowhere",
        "type": "Feature",
        "geometry": None,
        "properties": {"type": "Place", "size": "big"},
    }
    assert shown["features"][1]["geometry"] == {"type": "Point", "coordinates": [8, 40.01]}
    _, _, none = await api("GET", "entities?type=Nothing", Accept="application/geo+json", **TENANT)
    assert (none["type"], none["features"]) == ("FeatureCollection", [])


@pytest.mark.clause("6.3.4")
async def test_geojson_is_offered_where_entities_are_and_nowhere_else(api: Api) -> None:
    status, _, _ = await api("GET", "subscriptions", Accept="application/geo+json", **TENANT)
    assert status == 406
    _, headers, _ = await api(
        "GET", "subscriptions", Accept="application/geo+json, application/ld+json;q=0.1", **TENANT
    )
    assert headers["content-type"] == "application/ld+json"
    _, headers, _ = await api("GET", "entities?type=Place", Accept="application/geo+json, application/json", **TENANT)
    assert headers["content-type"] == "application/json"
    status, _, refusal = await api("GET", "entities?type=Place&geometryProperty=location", **TENANT)
    assert (status, refusal["title"]) == (400, "Bad request data")
    _, _, shown = await api(
        "GET", "entities/urn:ngsi-ld:Place:far?geometryProperty=name", Accept="application/geo+json", **TENANT
    )
    assert shown["geometry"] is None
