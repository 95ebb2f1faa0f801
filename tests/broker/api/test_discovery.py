"""Types and attributes that there are (clauses 5.7.5 to 5.7.10)."""

from typing import Any

import pytest
from pymongo import AsyncMongoClient

from broker.settings import Settings
from tests.broker.api.conftest import CAMPUS, Api, serving

TENANT = "catalogue"
SDM = "https://smartdatamodels.org/dataModel.Device/"


@pytest.fixture(scope="module", autouse=True)
async def things(api: Api) -> None:
    """Two rooms, one of which is a lab too, and a device."""
    bodies = [
        {"id": "urn:ngsi-ld:Room:1", "type": "Room", "scope": "/A", "name": "x", "co2": 600},
        {
            "id": "urn:ngsi-ld:Room:2",
            "type": ["Room", "Lab"],
            "co2": [{"value": 1}, {"object": "urn:x:1", "datasetId": "urn:x:d"}],
        },
        {
            "id": "urn:ngsi-ld:Device:1",
            "type": "Device",
            "name": {"languageMap": {"en": "x"}},
            "location": {"type": "Point", "coordinates": [1, 2]},
        },
    ]
    assert (await api("POST", "entityOperations/create", bodies, NGSILD_Tenant=TENANT))[0] == 201


@pytest.mark.clause("5.7.5")
async def test_types_are_listed(api: Api) -> None:
    status, headers, found = await api("GET", "types", NGSILD_Tenant=TENANT)
    assert status == 200
    assert found.pop("id").startswith("urn:ngsi-ld:EntityTypeList:")
    assert found == {"type": "EntityTypeList", "typeList": ["Device", "Lab", "Room"]}
    assert "json-ld#context" in headers["link"]


@pytest.mark.clause("5.7.6")
async def test_types_are_listed_with_their_attributes(api: Api) -> None:
    _, _, found = await api("GET", "types?details=true", NGSILD_Tenant=TENANT)
    iri = "https://uri.etsi.org/ngsi-ld/default-context/"
    assert found == [
        {"id": f"{iri}Device", "type": "EntityType", "typeName": "Device", "attributeNames": ["location", "name"]},
        {"id": f"{iri}Lab", "type": "EntityType", "typeName": "Lab", "attributeNames": ["co2"]},
        {"id": f"{iri}Room", "type": "EntityType", "typeName": "Room", "attributeNames": ["co2", "name"]},
    ]
    _, _, found = await api("GET", "types?details=true", NGSILD_Tenant=TENANT, Accept="application/ld+json")
    assert all("@context" in item for item in found)


@pytest.mark.clause("5.7.7")
async def test_a_type_is_described(api: Api) -> None:
    _, _, found = await api("GET", "types/Room", NGSILD_Tenant=TENANT)
    assert (found["type"], found["typeName"], found["entityCount"]) == ("EntityTypeInfo", "Room", 2)
    kinds = {item["attributeName"]: item["attributeTypes"] for item in found["attributeDetails"]}
    assert kinds == {"co2": ["Property", "Relationship"], "name": ["Property"]}
    status, _, problem = await api("GET", "types/Spaceship", NGSILD_Tenant=TENANT)
    assert (status, problem["title"]) == (404, "Resource not found")
    assert (await api("GET", "types/Room"))[2] != found, "another tenant has other rooms"


@pytest.mark.clause("5.7.8")
async def test_attributes_are_listed(api: Api) -> None:
    _, _, found = await api("GET", "attributes", NGSILD_Tenant=TENANT)
    assert found["attributeList"] == ["co2", "location", "name"]
    _, _, found = await api("GET", "attributes?details=true", NGSILD_Tenant=TENANT)
    assert {item["attributeName"]: item["typeNames"] for item in found} == {
        "co2": ["Lab", "Room"],
        "location": ["Device"],
        "name": ["Device", "Room"],
    }


@pytest.mark.clause("5.7.10")
async def test_an_attribute_is_described(api: Api) -> None:
    _, _, found = await api("GET", "attributes/co2", NGSILD_Tenant=TENANT)
    assert (found["type"], found["attributeCount"]) == ("Attribute", 2)
    assert (found["attributeTypes"], found["typeNames"]) == (["Property", "Relationship"], ["Lab", "Room"])
    for name in ("noise", "id", "type", "scope", "createdAt", "modifiedAt"):
        assert (await api("GET", f"attributes/{name}", NGSILD_Tenant=TENANT))[0] == 404
    assert (await api("GET", "attributes/co2?details=true", NGSILD_Tenant=TENANT))[0] == 400
    assert (await api("GET", "attributes?limit=5", NGSILD_Tenant=TENANT))[0] == 400


@pytest.mark.clause("5.7.5")
async def test_what_is_deleted_is_not_listed(api: Api) -> None:
    body = {"id": "urn:ngsi-ld:Comet:1", "type": "Comet", "tail": 1}
    await api("POST", "entities", body, NGSILD_Tenant="catalogue3")
    assert (await api("GET", "types", NGSILD_Tenant="catalogue3"))[2]["typeList"] == ["Comet"]
    await api("DELETE", f"entities/{body['id']}", NGSILD_Tenant="catalogue3")
    assert (await api("GET", "types", NGSILD_Tenant="catalogue3"))[2]["typeList"] == []
    assert (await api("GET", "attributes", NGSILD_Tenant="catalogue3"))[2]["attributeList"] == []
    assert (await api("GET", "attributes/tail", NGSILD_Tenant="catalogue3"))[0] == 404


@pytest.mark.clause("5.7.5")
async def test_names_are_those_of_the_reader(api: Api) -> None:
    link = f'<{CAMPUS}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    body = {"id": "urn:ngsi-ld:Zone:catalogue", "type": "Zone", "peopleCount": 5}
    await api("POST", "entities", body, NGSILD_Tenant="catalogue2", Link=link)
    assert (await api("GET", "types", NGSILD_Tenant="catalogue2", Link=link))[2]["typeList"] == ["Zone"]
    (iri,) = (await api("GET", "types", NGSILD_Tenant="catalogue2"))[2]["typeList"]
    assert iri.startswith("https://")


@pytest.mark.clause("5.7.7")
async def test_a_rare_attribute_of_a_common_type_is_found(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.storage.mongo_discovery.FIRST_COUNT", 10)
    monkeypatch.setattr("broker.storage.mongo_discovery._ROUND_COUNT", 2)
    headers = {"NGSILD_Tenant": "rarities"}
    shells: list[dict[str, Any]] = [
        {"id": f"urn:ngsi-ld:Shell:{number:03}", "type": "Shell", "size": number} for number in range(60)
    ]
    shells[40]["pearl"] = {"type": "Property", "value": "black"}
    shells[41]["size"] = {"type": "Relationship", "object": "urn:x:1"}
    shells[42]["pearl"] = {"languageMap": {"en": "white"}}
    shells[43]["ghost"] = {"type": "Property", "value": 1, "expiresAt": "2020-01-01T00:00:00Z"}
    for number in range(44, 60):
        shells[number][f"rare{number}"] = 1
    gone = [{"id": f"urn:ngsi-ld:Gone:{number:03}", "type": "Shell"} for number in range(30)]
    assert (await api("POST", "entityOperations/create", [*shells, *gone], **headers))[0] == 201
    assert (await api("POST", "entityOperations/delete", [item["id"] for item in gone], **headers))[0] == 204
    _, _, found = await api("GET", "types/Shell", **headers)
    kinds = {item["attributeName"]: item["attributeTypes"] for item in found["attributeDetails"]}
    rare = {f"rare{number}": ["Property"] for number in range(44, 60)}
    assert kinds == {"size": ["Property", "Relationship"], "pearl": ["LanguageProperty", "Property"], **rare}
    _, _, found = await api("GET", "attributes/pearl", **headers)
    assert (found["attributeCount"], found["typeNames"]) == (2, ["Shell"])


@pytest.mark.parametrize("path", ["types?details=true", "attributes/size"])
async def test_more_types_than_there_is_time_for_are_too_complex(mongo: str, path: str) -> None:
    settings = Settings(mongodb_uri=mongo, database="manytypes", query_timeout_s=0.1)
    async with serving(settings) as api:
        types = [f"Type{number}" for number in range(2000)]
        await api("POST", "entityOperations/upsert", [{"id": "urn:ngsi-ld:Many:1", "type": types, "size": 1}])
        status, _, problem = await api("GET", path)
        assert (status, problem["type"].rpartition("/")[2]) == (403, "TooComplexQuery")


@pytest.mark.parametrize("path", ["types", "attributes"])
async def test_more_types_than_can_be_listed_are_too_complex(api: Api, mongo: str, path: str) -> None:
    await api("POST", "entities", {"id": "urn:ngsi-ld:Long:1", "type": "Long"}, NGSILD_Tenant="longtypes")
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        for name in "ab":
            types = [name * 900 + str(number) for number in range(10_000)]
            await client.apitest_longtypes.entities.replace_one({"_id": name}, {"type": types}, upsert=True)
    status, _, problem = await api("GET", path, NGSILD_Tenant="longtypes")
    assert (status, problem["type"].rpartition("/")[2]) == (403, "TooComplexQuery")
    assert (await api("GET", "types/Long", NGSILD_Tenant="longtypes"))[0] == 200
