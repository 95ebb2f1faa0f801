"""Linked entities: shown with join (clause 4.5.23), looked at by q (clause 4.9)."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.broker.api.conftest import Api

TENANT = "linked"
ROOM, LAB, HOUSE, OWNER = "urn:ngsi-ld:Room:1", "urn:ngsi-ld:Room:lab", "urn:ngsi-ld:House:1", "urn:ngsi-ld:Person:1"
GONE = "urn:ngsi-ld:House:gone"


@pytest.fixture(scope="module", autouse=True)
async def places(api: Api) -> None:
    """A room in a house that belongs to a person who lives in that room; a room in two houses, one of them gone."""
    bodies = [
        {"id": ROOM, "type": "Room", "label": "r", "partOf": {"object": HOUSE}},
        {
            "id": LAB,
            "type": "Room",
            "label": "l",
            "partOf": {"object": [HOUSE, GONE]},
            "doors": {"objectList": [ROOM, GONE]},
        },
        {"id": HOUSE, "type": "House", "label": "h", "floors": 3, "owner": {"object": OWNER}},
        {"id": OWNER, "type": "Person", "label": "o", "email": "o@example.org", "livesIn": {"object": ROOM}},
    ]
    assert (await api("POST", "entityOperations/create", bodies, NGSILD_Tenant=TENANT))[0] == 201


async def get(api: Api, path: str) -> Any:
    status, _, found = await api("GET", quote(path, safe="?&=/:,{}@"), NGSILD_Tenant=TENANT)
    assert status == 200, found
    return found


@pytest.mark.clause("4.5.23")
async def test_linked_entities_stand_inside(api: Api) -> None:
    room = await get(api, f"entities/{ROOM}?join=inline")
    assert room["partOf"]["object"] == HOUSE
    assert room["partOf"]["entity"]["floors"] == {"type": "Property", "value": 3}
    assert "entity" not in room["partOf"]["entity"]["owner"], "one level is the default"
    deep = await get(api, f"entities/{ROOM}?join=inline&joinLevel=5")
    owner = deep["partOf"]["entity"]["owner"]["entity"]
    assert owner["livesIn"] == {"type": "Relationship", "object": ROOM}, "nobody is shown inside itself"
    assert (await get(api, f"entities/{ROOM}?join=inline&containedBy={HOUSE}"))["partOf"].keys() == {"type", "object"}


@pytest.mark.clause("4.5.23")
async def test_linked_entities_of_lists_stand_inside(api: Api) -> None:
    lab = await get(api, f"entities/{LAB}?join=inline&format=concise")
    assert [item["id"] for item in lab["partOf"]["entity"]] == [HOUSE]
    assert [item["id"] for item in lab["doors"]["entityList"]] == [ROOM]
    assert lab["doors"]["objectList"] == [ROOM, GONE]
    simple = await get(api, f"entities/{LAB}?join=inline&options=keyValues")
    assert simple["partOf"][0]["floors"] == 3
    assert simple["partOf"][1] == GONE, "what is not there is left as it is"
    assert simple["doors"][0]["label"] == "r"


@pytest.mark.clause("4.5.23")
async def test_linked_entities_stand_behind(api: Api) -> None:
    async def ids(parameters: str) -> list[str]:
        return [item["id"] for item in await get(api, parameters)]

    assert await ids(f"entities/{ROOM}?join=flat") == [ROOM, HOUSE]
    assert await ids(f"entities/{ROOM}?join=flat&joinLevel=3") == [ROOM, HOUSE, OWNER]
    assert await ids("entities?type=Room&join=flat&joinLevel=2") == [ROOM, LAB, HOUSE, OWNER]
    assert await ids(f"entities?type=Room&join=flat&containedBy={HOUSE}") == [ROOM, LAB]
    assert (await get(api, f"entities/{ROOM}?join=flat&omit=partOf"))["id"] == ROOM, "alone it is no array"


@pytest.mark.clause("4.21")
async def test_braces_pick_from_linked_entities(api: Api) -> None:
    found = await get(
        api, f"entities/{ROOM}?join=inline&joinLevel=2&options=keyValues&pick=id,partOf{{label,owner{{email}}}}"
    )
    assert found == {"id": ROOM, "partOf": {"label": "h", "owner": {"email": "o@example.org"}}}
    found = await get(api, f"entities/{ROOM}?join=flat&options=keyValues&omit=type,partOf{{type,floors}}")
    assert found == [
        {"id": ROOM, "label": "r", "partOf": HOUSE},
        {"id": HOUSE, "label": "h", "owner": OWNER},
    ]


REFUSED = [
    "pick=partOf{label}",
    "join=inline&pick=partOf{owner{email}}",
    "join=inline&joinLevel=0",
    "join=inline&joinLevel=-1",
    "join=inline&joinLevel=11",
    "join=sideways",
    "join=flat&containedBy=house",
    "q=partOf{label}",
    "join=inline&q=partOf{owner{email}}",
]


@pytest.mark.parametrize("parameters", REFUSED)
@pytest.mark.clause("5.7.2")
async def test_what_goes_farther_than_the_join_is_refused(api: Api, parameters: str) -> None:
    path = "entities?type=Room&" + quote(parameters, safe="&=")
    status, _, problem = await api("GET", path, NGSILD_Tenant=TENANT)
    assert (status, problem["type"].rpartition("/")[2]) == (400, "BadRequestData")


CONDITIONS = [
    ('partOf{label}=="h"', [LAB, ROOM]),
    ("partOf{floors}>3", []),
    ("partOf{floors}!=4", [LAB, ROOM]),
    ("partOf{House:floors}==3", [LAB, ROOM]),
    ("partOf{Room,House:floors}==3", [LAB, ROOM]),
    ("partOf{Person:floors}==3", []),
    ('partOf{owner{email}}~="@example"', [LAB, ROOM]),
    ('livesIn{label}=="r"', [OWNER]),
    ("doors{label}", [LAB]),
    ("!doors{label};label", [HOUSE, OWNER, ROOM]),
    ('doors{label}=="r"|livesIn{label}', [LAB, OWNER]),
]


@pytest.mark.parametrize(("q", "ids"), CONDITIONS)
@pytest.mark.clause("4.9")
async def test_conditions_on_linked_entities(api: Api, q: str, ids: list[str]) -> None:
    path = f"entities?join=inline&joinLevel=2&count=true&q={quote(q)}"
    _, headers, found = await api("GET", path, NGSILD_Tenant=TENANT)
    assert sorted(item["id"] for item in found) == sorted(ids)
    assert headers["ngsild-results-count"] == str(len(ids))
