"""Queries by POST (clauses 5.2.23 and 6.23)."""

from typing import Any

import pytest

from tests.broker.api.conftest import Api

TENANT = "byBody"


@pytest.fixture(scope="module", autouse=True)
async def vehicles(api: Api) -> None:
    """Five vehicles and two drones."""
    bodies = [
        {"id": f"urn:ngsi-ld:Vehicle:{n}", "type": "Vehicle", "speed": 20 * n, "brand": f"b {n}"} for n in range(5)
    ]
    bodies += [{"id": f"urn:ngsi-ld:Drone:{n}", "type": "Drone", "speed": 5} for n in range(2)]
    assert (await api("POST", "entityOperations/create", bodies, NGSILD_Tenant=TENANT))[0] == 201


QUERIES: list[tuple[dict[str, Any], list[str]]] = [
    ({"entities": [{"type": "Vehicle"}], "q": "speed>50"}, ["Vehicle:3", "Vehicle:4"]),
    ({"entities": [{"type": "Vehicle"}], "q": "brand==%22b 3%22"}, ["Vehicle:3"]),
    ({"entities": [{"type": "Vehicle"}], "q": 'brand=="b 3"'}, ["Vehicle:3"]),
    (
        {"entities": [{"type": "Vehicle", "id": "urn:ngsi-ld:Vehicle:2"}, {"type": "Drone"}]},
        ["Drone:0", "Drone:1", "Vehicle:2"],
    ),
    ({"entities": [{"type": "Vehicle", "id": ["urn:ngsi-ld:Vehicle:2", "urn:ngsi-ld:Drone:1"]}]}, ["Vehicle:2"]),
    ({"entities": [{"type": "*", "idPattern": ":[01]$"}]}, ["Drone:0", "Drone:1", "Vehicle:0", "Vehicle:1"]),
    ({"entities": [{"type": "Vehicle", "id": "urn:ngsi-ld:Vehicle:2", "idPattern": "x"}]}, ["Vehicle:2"]),
    ({"attrs": ["brand"], "q": "speed<30"}, ["Vehicle:0", "Vehicle:1"]),
]


@pytest.mark.parametrize(("query", "names"), QUERIES)
@pytest.mark.clause("5.7.2")
async def test_what_is_found(api: Api, query: dict[str, Any], names: list[str]) -> None:
    status, _, found = await api("POST", "entityOperations/query", {"type": "Query", **query}, NGSILD_Tenant=TENANT)
    assert status == 200, found
    assert [entity["id"].removeprefix("urn:ngsi-ld:") for entity in found] == names


@pytest.mark.clause("6.3.10")
async def test_pages_are_those_of_the_same_resource(api: Api) -> None:
    body = {"type": "Query", "entities": [{"type": "Vehicle"}], "pick": ["id", "speed"]}
    path = "entityOperations/query?limit=2&offset=2&count=true&options=keyValues"
    _, headers, found = await api("POST", path, body, NGSILD_Tenant=TENANT)
    assert found == [{"id": f"urn:ngsi-ld:Vehicle:{n}", "speed": 20 * n} for n in (2, 3)]
    assert headers["ngsild-results-count"] == "5"
    base = "</ngsi-ld/v1/entityOperations/query?count=true&limit=2&offset="
    assert f'{base}0&options=keyValues>;rel="prev"' in headers["link"]
    assert f'{base}4&options=keyValues>;rel="next"' in headers["link"]


REFUSED: list[Any] = [
    {"type": "NotQuery", "entities": [{"type": "Vehicle"}]},
    {"entities": [{"type": "Vehicle"}]},
    {"type": "Query"},
    {"type": "Query", "entities": []},
    {"type": "Query", "entities": [{"id": "urn:x:1"}]},
    {"type": "Query", "entities": [{"type": "Vehicle", "id": "one"}]},
    {"type": "Query", "entities": [{"type": "Vehicle", "id": ["urn:x:1", 2]}]},
    {"type": "Query", "entities": [{"type": "Vehicle", "idPattern": "("}]},
    {"type": "Query", "entities": [{"type": "Vehicle"}], "attrs": []},
    {"type": "Query", "entities": [{"type": "Vehicle"}], "q": 42},
    {"type": "Query", "entities": [{"type": "Vehicle"}], "pick": "speed"},
    {"type": "Query", "entities": [{"type": "Vehicle"}], "join": "inline", "joinLevel": 0},
    {"type": "Query", "entities": [{"type": "Vehicle"}], "joinLevel": "1"},
    {"type": "Query", "entities": [{"type": "Vehicle"}], "temporalQ": {"timerel": "after"}},
    {"type": "Query", "entities": [{"type": "Vehicle"}], "geoQ": []},
    {"type": "Query", "entities": [{"type": "Vehicle"}], "nonsense": 1},
    {"type": "Query", "q": "modifiedAt>2020-01-01T00:00:00Z"},
    [],
]


@pytest.mark.parametrize("body", REFUSED)
@pytest.mark.clause("5.2.23")
async def test_what_is_no_query_is_refused(api: Api, body: Any) -> None:
    assert (await api("POST", "entityOperations/query", body, NGSILD_Tenant=TENANT))[0] == 400


@pytest.mark.clause("5.7.2")
async def test_every_type_is_a_local_matter(api: Api) -> None:
    assert len((await api("GET", "entities?type=*", NGSILD_Tenant=TENANT))[2]) == 7
    assert (await api("GET", "entities?type=*&local=true", NGSILD_Tenant=TENANT))[0] == 200
    assert (await api("GET", "entities?type=*&local=false", NGSILD_Tenant=TENANT))[0] == 400


@pytest.mark.clause("5.7.2")
async def test_a_filter_encoded_like_a_form_is_understood(api: Api) -> None:
    path = "entities?type=Vehicle&q=brand%3D%3D%22b+3%22"
    assert [item["id"] for item in (await api("GET", path, NGSILD_Tenant=TENANT))[2]] == ["urn:ngsi-ld:Vehicle:3"]
