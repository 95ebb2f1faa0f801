"""Entity maps: a query's set of entities, fixed for its pages (clauses 5.14 and 5.5.9.3)."""

import pytest

from broker.settings import Settings
from tests.broker.api.conftest import Api, serving
from tests.builders import room

BOATS = [f"urn:ngsi-ld:Boat:{number}" for number in range(6)]


async def made(api: Api, *ids: str) -> None:
    boats = [{"id": name, "type": "Boat", "speed": int(name[-1]) * 10} for name in ids]
    assert (await api("POST", "entityOperations/upsert", boats))[0] in (201, 204)


def map_id(headers: dict[str, str]) -> str:
    assert headers["ngsild-entitymap"].startswith("/ngsi-ld/v1/entityMaps/urn:")
    return headers["ngsild-entitymap"].rpartition("/")[2]


@pytest.fixture
async def boats(api: Api) -> None:
    await api("DELETE", "entities?type=Boat")
    await made(api, *BOATS[:5])


@pytest.mark.usefixtures("boats")
@pytest.mark.clause("5.5.9.3")
async def test_the_pages_of_a_map_are_those_of_one_set(api: Api) -> None:
    status, headers, first = await api("GET", "entities?type=Boat&limit=2&entityMap=true")
    assert (status, [item["id"] for item in first]) == (201, BOATS[:2])
    used = {"NGSILD_EntityMap": headers["ngsild-entitymap"]}
    await made(api, BOATS[5])
    await api("DELETE", f"entities/{BOATS[1]}")
    status, headers, page = await api("GET", "entities?type=Boat&limit=3&count=true", **used)
    assert (status, [item["id"] for item in page]) == (200, [BOATS[0], *BOATS[2:4]])
    assert headers["ngsild-results-count"] == "4"
    assert headers["ngsild-entitymap"] == used["NGSILD_EntityMap"]
    assert 'rel="next"' in headers["link"]
    status, _, page = await api("GET", "entities?type=Boat&limit=3&offset=3", NGSILD_EntityMap=map_id(headers))
    assert (status, [item["id"] for item in page]) == (200, [BOATS[4]])
    _, _, shown = await api("GET", f"entityMaps/{map_id(headers)}")
    assert shown["entityMap"] == {name: ["@none"] for name in (BOATS[0], *BOATS[2:5])}
    status, _, page = await api("GET", "entities?type=Boat&q=speed>25", **used)
    assert [item["id"] for item in page] == BOATS[3:5]


@pytest.mark.usefixtures("boats")
@pytest.mark.clause("5.14.4")
@pytest.mark.parametrize("by_body", [False, True])
async def test_a_map_is_made_without_entities(api: Api, by_body: bool) -> None:
    if by_body:
        query = {"type": "Query", "entities": [{"type": "Boat"}], "q": "speed>=20", "entityMapLifetime": "P3650D"}
        status, headers, shown = await api("POST", "entityMaps", query)
    else:
        status, headers, shown = await api("GET", "entityMaps?type=Boat&q=speed>=20&entityMapLifetime=P3650D")
    assert (status, shown["type"], shown["id"]) == (201, "EntityMap", map_id(headers))
    assert list(shown["entityMap"]) == BOATS[2:5]
    assert shown["expiresAt"] < "2100"
    status, _, again = await api("GET", f"entityMap/{shown['id']}", Accept="application/ld+json")
    assert status == 200
    assert {name: again[name] for name in shown} == shown


@pytest.mark.usefixtures("boats")
@pytest.mark.clause("5.2.23")
async def test_a_query_by_post_makes_a_map(api: Api) -> None:
    query = {"type": "Query", "entities": [{"type": "Boat"}], "entityMap": True}
    status, headers, page = await api("POST", "entityOperations/query", query)
    assert (status, len(page)) == (201, 5)
    del query["entityMap"]
    await made(api, BOATS[5])
    status, _, page = await api("POST", "entityOperations/query", query, NGSILD_EntityMap=headers["ngsild-entitymap"])
    assert (status, len(page)) == (200, 5)


@pytest.mark.usefixtures("boats")
@pytest.mark.clause("5.7.1")
async def test_one_entity_has_a_map_too(api: Api) -> None:
    status, headers, boat = await api("GET", f"entities/{BOATS[0]}?entityMap=true&entityMapLifetime=PT1M")
    assert (status, boat["id"]) == (200, BOATS[0])
    known = headers["ngsild-entitymap"]
    status, headers, _ = await api("GET", f"entities/{BOATS[0]}", NGSILD_EntityMap=known)
    assert (status, headers["ngsild-entitymap"]) == (200, known)
    for unknown in ("urn:ngsi-ld:EntityMap:dead", "nonsense"):
        status, headers, _ = await api("GET", f"entities/{BOATS[0]}", NGSILD_EntityMap=unknown)
        assert status == 200
        assert headers["ngsild-entitymap"] not in (known, unknown)


@pytest.mark.usefixtures("boats")
@pytest.mark.clause("5.14.2")
async def test_a_map_expires_and_is_deleted(api: Api) -> None:
    _, headers, shown = await api("GET", "entityMaps?type=Boat")
    path = f"entityMaps/{map_id(headers)}"
    fragment = {"expiresAt": "2099-01-01T00:00:00Z", "entityMap": {"urn:x:smuggled": ["@none"]}}
    assert (await api("PATCH", path, fragment))[0] == 204
    _, _, later = await api("GET", path)
    assert shown["expiresAt"] < later["expiresAt"] < "2099"
    assert later["entityMap"] == shown["entityMap"]
    assert (await api("PATCH", path, {"expiresAt": "tomorrow"}))[0] == 400
    assert (await api("PATCH", path, {}))[0] == 204
    assert (await api("PATCH", path, {"expiresAt": "2000-01-01T00:00:00Z"}))[0] == 204
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        assert (await api(method, path, body))[0] == 404
    _, headers, _ = await api("GET", "entityMaps?type=Boat")
    path = f"entityMaps/{map_id(headers)}"
    assert (await api("DELETE", path))[0] == 204
    assert (await api("DELETE", path))[0] == 404


@pytest.mark.clause("4.14")
async def test_a_map_belongs_to_its_tenant(api: Api) -> None:
    await api("POST", "entities", room("urn:ngsi-ld:Room:mapped"), NGSILD_Tenant="harbour")
    status, headers, _ = await api("GET", "entityMaps?type=Room", NGSILD_Tenant="harbour")
    assert status == 201
    path = f"entityMaps/{map_id(headers)}"
    assert (await api("GET", path))[0] == 404
    assert (await api("DELETE", path))[0] == 404
    assert (await api("GET", path, NGSILD_Tenant="harbour"))[0] == 200


async def test_a_map_has_a_bound(mongo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.entity_maps.IDS_COUNT_MAX", 3)
    async with serving(Settings(mongodb_uri=mongo, database="mapbound")) as api:
        await made(api, *BOATS[:4])
        status, _, problem = await api("GET", "entities?type=Boat&entityMap=true")
        assert (status, problem["type"].rpartition("/")[2]) == (403, "TooManyResults")
