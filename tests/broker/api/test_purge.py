"""Purge Entities (clause 5.6.21)."""

import pytest

from tests.broker.api.conftest import Api

TENANT = "purged"


async def fill(api: Api, count: int = 3) -> None:
    bodies = [
        {
            "id": f"urn:ngsi-ld:Room:{n}",
            "type": "Room",
            "temperature": n,
            "name": f"r{n}",
            "co2": [{"value": 1}, {"value": 2, "datasetId": "urn:x:a"}],
        }
        for n in range(count)
    ]
    bodies.append({"id": "urn:ngsi-ld:House:1", "type": "House", "name": "h"})
    assert (await api("POST", "entityOperations/upsert", bodies, NGSILD_Tenant=TENANT))[0] in (201, 204)


async def left(api: Api) -> list[str]:
    path = "entities?local=true&limit=1000&options=keyValues"
    return [item["id"].removeprefix("urn:ngsi-ld:") for item in (await api("GET", path, NGSILD_Tenant=TENANT))[2]]


PURGES = [
    ("type=Room", ["House:1"]),
    ("q=temperature>0", ["House:1", "Room:0"]),
    ("type=Room&id=urn:ngsi-ld:Room:1,urn:ngsi-ld:House:1", ["House:1", "Room:0", "Room:2"]),
    ("type=Room&idPattern=:[12]$", ["House:1", "Room:0"]),
    ("attrs=co2", ["House:1"]),
    ("type=Spaceship", ["House:1", "Room:0", "Room:1", "Room:2"]),
    ("local=true", []),
]


@pytest.mark.parametrize(("parameters", "names"), PURGES)
@pytest.mark.clause("5.6.21")
async def test_what_is_selected_is_deleted(api: Api, parameters: str, names: list[str]) -> None:
    await fill(api)
    status, _, body = await api("DELETE", f"entities?{parameters}", NGSILD_Tenant=TENANT)
    assert (status, body) == (204, b"")
    assert await left(api) == names


@pytest.mark.clause("5.6.21")
async def test_attributes_are_kept_or_dropped(api: Api) -> None:
    await fill(api)
    assert (await api("DELETE", "entities?type=Room&drop=co2,noise", NGSILD_Tenant=TENANT))[0] == 204
    room = (await api("GET", "entities/urn:ngsi-ld:Room:1?options=keyValues", NGSILD_Tenant=TENANT))[2]
    assert room == {"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": 1, "name": "r1"}
    assert (await api("DELETE", "entities?type=Room&keep=name", NGSILD_Tenant=TENANT))[0] == 204
    room = (await api("GET", "entities/urn:ngsi-ld:Room:1?options=keyValues", NGSILD_Tenant=TENANT))[2]
    assert room == {"id": "urn:ngsi-ld:Room:1", "type": "Room", "name": "r1"}
    assert await left(api) == ["House:1", "Room:0", "Room:1", "Room:2"]


@pytest.mark.clause("5.6.21")
async def test_a_purge_goes_on_from_batch_to_batch(api: Api) -> None:
    await fill(api, 700)
    assert (await api("DELETE", "entities?type=Room&drop=co2", NGSILD_Tenant=TENANT))[0] == 204
    assert (await api("GET", "entities?attrs=co2", NGSILD_Tenant=TENANT))[2] == []
    assert (await api("DELETE", "entities?type=Room", NGSILD_Tenant=TENANT))[0] == 204
    assert await left(api) == ["House:1"]


REFUSED = [
    "",
    "id=urn:ngsi-ld:Room:1",
    "idPattern=.*",
    "keep=name",
    "attrs=createdAt",
    "q=modifiedAt>2020-01-01T00:00:00Z",
    "type=Room&keep=a&drop=b",
    "type=Room&q=partOf{name}",
    "type=Room&attrs=partOf{name}",
    "type=Room&pick=name",
]


@pytest.mark.parametrize("parameters", REFUSED)
@pytest.mark.clause("5.6.21")
async def test_what_is_too_wide_deletes_nothing(api: Api, parameters: str) -> None:
    await fill(api)
    assert (await api("DELETE", f"entities?{parameters}", NGSILD_Tenant=TENANT))[0] == 400
    assert len(await left(api)) == 4
