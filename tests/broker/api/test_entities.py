"""Entities over HTTP: created, read, changed, deleted."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.broker.api.conftest import CAMPUS, Api
from tests.builders import room, unique_id

CORE_LINK = (
    '<https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; '
    'type="application/ld+json"'
)
CAMPUS_LINK = f'<{CAMPUS}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'


@pytest.mark.clause("5.6.1")
async def test_what_is_created_can_be_retrieved(api: Api) -> None:
    body = room()
    status, headers, content = await api("POST", "entities", body)
    assert (status, content, headers["location"]) == (201, b"", f"/ngsi-ld/v1/entities/{body['id']}")
    status, headers, content = await api("GET", f"entities/{body['id']}")
    assert (status, content) == (200, body)
    assert headers["content-type"] == "application/json"
    assert headers["link"] == CORE_LINK


async def test_an_id_can_be_taken_once(api: Api) -> None:
    body = room()
    answers = await asyncio.gather(*(api("POST", "entities", body) for _ in range(5)))
    assert sorted(status for status, _, _ in answers) == [201, 409, 409, 409, 409]
    problem = next(content for status, _, content in answers if status == 409)
    assert problem["type"] == "https://uri.etsi.org/ngsi-ld/errors/AlreadyExists"
    assert body["id"] in problem["detail"]


@pytest.mark.clause("5.6.2")
async def test_updating_an_attribute_leaves_the_others(api: Api) -> None:
    body = room(humidity=40)
    await api("POST", "entities", body)
    status, headers, content = await api("PATCH", f"entities/{body['id']}/attrs", {"temperature": 25, "co2": 600})
    assert (status, content, "content-length" in headers) == (204, b"", False)
    _, _, shown = await api("GET", f"entities/{body['id']}?format=simplified")
    assert shown == {"id": body["id"], "type": "Room", "temperature": 25, "humidity": 40, "co2": 600}


async def test_concurrent_updates_of_one_entity_all_count(api: Api) -> None:
    entity_id = unique_id()
    await api("POST", "entities", {"id": entity_id, "type": "Room"})
    path = f"entities/{entity_id}/attrs"
    answers = await asyncio.gather(*(api("PATCH", path, {f"a{number}": number}) for number in range(60)))
    assert {status for status, _, _ in answers} == {204}
    _, _, shown = await api("GET", f"entities/{entity_id}?options=keyValues")
    assert {name: value for name, value in shown.items() if name[0] == "a"} == {f"a{n}": n for n in range(60)}


@pytest.mark.clause("5.6.3")
async def test_append_with_no_overwrite_reports_what_it_left(api: Api) -> None:
    body = room()
    await api("POST", "entities", body)
    path = f"entities/{body['id']}/attrs"
    status, _, result = await api("POST", f"{path}?options=noOverwrite", {"temperature": 30, "co2": 600})
    assert status == 207
    assert result["updated"] == ["https://uri.etsi.org/ngsi-ld/default-context/co2"]
    assert result["notUpdated"][0]["attributeName"] == "https://uri.etsi.org/ngsi-ld/default-context/temperature"
    assert (await api("POST", path, {"temperature": 30}))[0] == 204


@pytest.mark.clause("5.6.5")
async def test_attributes_and_entities_are_deleted_once(api: Api) -> None:
    body = room()
    await api("POST", "entities", body)
    path = f"entities/{body['id']}"
    assert [(await api("DELETE", f"{path}/attrs/temperature"))[0] for _ in range(2)] == [204, 404]
    assert (await api("GET", path))[2] == {"id": body["id"], "type": "Room"}
    assert [(await api("DELETE", path))[0] for _ in range(2)] == [204, 404]
    assert (await api("GET", path))[0] == 404
    assert (await api("PATCH", f"{path}/attrs", {"a": 1}))[0] == 404
    assert (await api("POST", "entities", body))[0] == 201


@pytest.mark.clause("6.3.5")
async def test_names_go_by_the_context_of_each_request(api: Api) -> None:
    entity_id = unique_id("Zone")
    body = {"id": entity_id, "type": "Zone", "peopleCount": 12, "unheardOf": 1}
    assert (await api("POST", "entities", body, Link=CAMPUS_LINK))[0] == 201
    _, headers, shown = await api("GET", f"entities/{entity_id}?options=keyValues", Link=CAMPUS_LINK)
    assert (shown, headers["link"]) == (body, CAMPUS_LINK)
    _, _, plain = await api("GET", f"entities/{entity_id}?options=keyValues")
    assert plain["type"].startswith("https://")
    assert "peopleCount" not in plain
    _, headers, linked = await api("GET", f"entities/{entity_id}", Link=CAMPUS_LINK, Accept="application/ld+json")
    assert (linked["@context"], linked["type"], headers["content-type"]) == (CAMPUS, "Zone", "application/ld+json")
    assert "link" not in headers


async def test_an_inline_context_and_an_encoded_iri_in_the_path(api: Api) -> None:
    entity_id = "urn:ngsi-ld:Room:a/b c".replace(" ", "_")
    iri = "https://example.org/terms/temp.inside$"
    body = {"@context": {"t": iri}, "id": entity_id, "type": "Room", "t": 5}
    assert (await api("POST", "entities", body, Content_Type="application/ld+json"))[0] == 201
    path = f"entities/{quote(entity_id, safe='')}"
    assert (await api("GET", f"{path}?options=keyValues"))[2][iri] == 5
    assert (await api("DELETE", f"{path}/attrs/{quote(iri, safe='')}"))[0] == 204
    assert (await api("GET", f"{path}?attrs={quote(iri, safe='')}"))[0] == 404


@pytest.mark.clause("4.14")
async def test_tenants_are_created_by_writing_and_kept_apart(api: Api) -> None:
    body = room()
    status, headers, problem = await api("GET", f"entities/{body['id']}", NGSILD_Tenant="settat")
    assert (status, headers["ngsild-tenant"]) == (404, "settat")
    assert problem["type"].endswith("NonexistentTenant")
    assert (await api("POST", "entities", body, NGSILD_Tenant="settat"))[0] == 201
    assert (await api("GET", f"entities/{body['id']}", NGSILD_Tenant="settat"))[2] == body
    assert (await api("GET", f"entities/{body['id']}"))[0] == 404
    assert (await api("GET", "entities?type=Room", NGSILD_Tenant="no such"))[0] == 400


async def test_an_expired_entity_is_gone(api: Api) -> None:
    body = {**room(), "expiresAt": "2020-01-01T00:00:00Z"}
    assert (await api("POST", "entities", body))[0] == 201
    assert (await api("GET", f"entities/{body['id']}"))[0] == 404
    assert (await api("GET", f"entities?type=Room&id={body['id']}"))[2] == []


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": {"$gt": 1}},
        {"$where": "1"},
        ["$set", {"": 1}],
        2**63 - 1,
        -(2**63) + 1,
        1e308,
        "<>\"'=;()",
        [[], {}, [None, {"x": None}]],
        {"type": "nothing", "value": [1]},
    ],
)
async def test_values_are_kept_exactly(api: Api, value: object) -> None:
    body = room(odd={"type": "Property", "value": value})
    assert (await api("POST", "entities", body))[0] == 201
    assert (await api("GET", f"entities/{body['id']}"))[2]["odd"]["value"] == value


MEMBER_NAMES = ["value", "object", "vocab", "json", "languageMap", "valueList", "objectList"]


@pytest.mark.clause("4.5.1")
@pytest.mark.parametrize("name", MEMBER_NAMES)
async def test_the_name_of_a_value_member_names_an_attribute_of_an_entity(api: Api, name: str) -> None:
    entity = {"id": unique_id(), "type": "Device", name: "l=0.22", "category": ["sensor"]}
    assert (await api("POST", "entities", entity))[0] == 201
    path = f"entities/{entity['id']}"
    for form in ("concise", "simplified"):
        assert (await api("GET", f"{path}?format={form}"))[2] == entity
    assert (await api("GET", path))[2][name] == {"type": "Property", "value": "l=0.22"}
    found = (await api("GET", f'entities?type=Device&id={entity["id"]}&q={name}=="l=0.22"&pick={name}'))[2]
    assert found == [{name: {"type": "Property", "value": "l=0.22"}}]
    assert (await api("PATCH", f"{path}/attrs/{name}", {"value": 5}))[0] == 204
    assert (await api("PATCH", path, {name: {"type": "Property", "value": 6}}))[0] == 204
    assert (await api("PATCH", f"{path}/attrs", {name: {"type": "Property", "value": 7}}))[0] == 204
    assert (await api("GET", f"{path}?format=simplified&pick={name}"))[2] == {name: 7}
    assert (await api("GET", f"attributes/{name}"))[2]["attributeName"] == name
    assert (await api("DELETE", f"{path}/attrs/{name}"))[0] == 204


@pytest.mark.clause("4.5.1")
@pytest.mark.parametrize("name", MEMBER_NAMES)
async def test_the_name_of_a_value_member_names_no_sub_attribute(api: Api, name: str) -> None:
    kind, member = ("Relationship", "object") if name == "value" else ("Property", "value")
    attribute = {"type": kind, member: "urn:x:1", name: {"type": kind, member: "urn:x:2"}}
    status, _, problem = await api("POST", "entities", {"id": unique_id(), "type": "A", "a": attribute})
    assert (status, f"'{name}'" in problem["detail"]) == (400, True)


@pytest.mark.clause("4.5.1")
@pytest.mark.parametrize("name", ["datasetId", "observedAt", "unitCode", "previousValue", "lang", "entityList"])
async def test_the_name_of_another_member_names_no_attribute(api: Api, name: str) -> None:
    entity = {"id": unique_id(), "type": "A"}
    assert (await api("POST", "entities", entity))[0] == 201
    path, attribute = f"entities/{entity['id']}", {name: {"type": "Property", "value": 1}}
    for method, place in (("PUT", path), ("PATCH", path), ("PATCH", f"{path}/attrs"), ("POST", f"{path}/attrs")):
        status, _, problem = await api(method, place, attribute)
        assert (status, name in problem["detail"]) == (400, True)


@pytest.mark.clause("4.5.1")
async def test_a_member_by_its_iri_or_an_alias_is_no_attribute_either(api: Api) -> None:
    core = "https://uri.etsi.org/ngsi-ld/"
    entity_id = unique_id()
    assert (await api("POST", "entities", {"id": entity_id, "type": "A"}))[0] == 201
    for name in ("createdAt", "unitCode", "scope", "hasPreviousValue"):
        status, _, problem = await api("POST", f"entities/{entity_id}/attrs", {f"{core}{name}": 1})
        assert (status, f"{core}{name}" in problem["detail"]) == (400, True)
    for name in ("observedAt", "hasValue"):
        inner = {"@context": {"alias": f"{core}{name}"}, "a": {"type": "Property", "value": 1, "alias": 2}}
        for method, path in (("POST", f"entities/{entity_id}/attrs"), ("PATCH", f"entities/{entity_id}")):
            status, _, problem = await api(method, path, inner, Content_Type="application/ld+json")
            assert (status, "'alias'" in problem["detail"]) == (400, True)
    assert (await api("GET", f"entities/{entity_id}"))[2] == {"id": entity_id, "type": "A"}


@pytest.mark.clause("5.6.2")
@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("body", [{"value": 5}, {"object": "urn:x:1"}, {"type": "Property", "value": 5}])
async def test_an_attribute_without_its_name_is_told_from_attributes(api: Api, method: str, body: Any) -> None:
    entity_id = unique_id()
    assert (await api("POST", "entities", {"id": entity_id, "type": "A"}))[0] == 201
    status, _, problem = await api(method, f"entities/{entity_id}/attrs", body)
    assert (status, "without its name" in problem["detail"]) == (400, True)
