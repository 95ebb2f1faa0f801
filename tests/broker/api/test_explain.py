"""Why a subscription is told of an entity, over HTTP."""

from typing import Any

import pytest
from pymongo import AsyncMongoClient

from tests.broker.api.conftest import CAMPUS, Api
from tests.broker.api.test_subscriptions import subscription
from tests.broker.notify.writer import Writer, entity, updated
from tests.builders import unique_id

pytestmark = pytest.mark.clause("5.8.6")

EXPLAIN = "/ngsi-ld/ex/v1/subscriptions/{}/explain"


def room(**attributes: Any) -> dict[str, Any]:
    properties = {name: {"type": "Property", "value": value} for name, value in attributes.items()}
    return {"id": unique_id("Room"), "type": "Room", **properties}


async def explained(api: Api, subscription_id: str, entity_id: str, **headers: str) -> dict[str, Any]:
    path = f"{EXPLAIN.format(subscription_id)}?entityId={entity_id}"
    status, _, found = await api("GET", path, **headers)
    assert status == 200, found
    return dict(found)


def failed(explanation: dict[str, Any]) -> list[str]:
    return [item["test"] for item in explanation["tests"] if not item["passed"]]


def of(explanation: dict[str, Any], test: str) -> dict[str, Any]:
    return next(dict(item) for item in explanation["tests"] if item["test"] == test)


async def created(api: Api, path: str, body: dict[str, Any], **headers: str) -> str:
    status, _, problem = await api("POST", path, body, **headers)
    assert status == 201, problem
    return str(body["id"])


async def test_every_test_of_a_match_is_told_in_words(api: Api) -> None:
    wanted = subscription(
        entities=[{"type": "Hall"}, {"type": "Room", "idPattern": "^urn:ngsi-ld:Room:"}],
        watchedAttributes=["temperature"],
        q="temperature>25;!closed",
        scopeQ="/Campus/#",
        geoQ={"georel": "near;maxDistance==2000", "geometry": "Point", "coordinates": [8, 40]},
        csf='operator=="acme"',
        expiresAt="2090-01-01T00:00:00Z",
        throttling=5,
    )
    known = await created(api, "subscriptions", wanted)
    body = room(temperature=30) | {
        "scope": "/Campus/North",
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [8, 40]}},
    }
    entity_id = await created(api, "entities", body)
    found = await explained(api, known, entity_id)
    assert (found["told"], found["summary"]) == (True, "The subscription is told of it")
    assert failed(found) == []
    assert [item["test"] for item in found["tests"]] == [
        "entity",
        "active",
        "expired",
        "since",
        "entities",
        "watchedAttributes",
        "notificationTrigger",
        "q",
        "geoQ",
        "scopeQ",
        "csf",
    ]
    assert [part["passed"] for part in of(found, "entities")["parts"]] == [False, True]
    assert [part["detail"] for part in of(found, "q")["parts"]] == [
        "temperature>25 holds: temperature is 30",
        "!closed holds: there is no closed",
    ]
    assert [item["test"] for item in found["delivery"]] == ["throttling", "endpoint"]
    assert found["change"]["event"] == "entityCreated"


@pytest.mark.parametrize(
    ("members", "test", "detail"),
    [
        ({"isActive": False}, "active", "paused"),
        ({"entities": [{"type": "Hall"}]}, "entities", "0 of 1"),
        ({"entities": [{"type": "Room", "id": "urn:x:other"}]}, "entities", "0 of 1"),
        ({"entities": [{"type": "Room", "idPattern": "^urn:x"}]}, "entities", "0 of 1"),
        ({"watchedAttributes": ["co2"]}, "watchedAttributes", "watched: co2; the change concerned temperature"),
        ({"notificationTrigger": ["entityDeleted"]}, "notificationTrigger", "attributeUpdated"),
        ({"q": "temperature>25|name"}, "q", "temperature>25|name does not hold"),
        ({"q": 'zone{name}=="x"'}, "q", 'zone{name}=="x" does not hold'),
        ({"scopeQ": "/Campus"}, "scopeQ", "no scope"),
        (
            {"geoQ": {"georel": "within", "geometry": "Point", "coordinates": [8, 40]}},
            "geoQ",
            "no GeoProperty location",
        ),
    ],
)
async def test_what_fails_is_named(api: Api, members: dict[str, Any], test: str, detail: str) -> None:
    known = await created(api, "subscriptions", subscription(**members))
    entity_id = await created(api, "entities", room(temperature=20))
    await api("PATCH", f"entities/{entity_id}/attrs/temperature", {"value": 21})
    found = await explained(api, known, entity_id)
    assert (found["told"], failed(found)) == (False, [test])
    assert detail in of(found, test)["detail"]
    assert found["summary"] == f"The subscription is not told: {test}"


async def test_linked_entities_are_looked_at(api: Api) -> None:
    zone = await created(api, "entities", {"id": unique_id("Zone"), "type": "Zone", "level": {"value": 3}})
    body = room() | {"zone": {"type": "Relationship", "object": zone}}
    known = await created(api, "subscriptions", subscription(q="zone{Zone:level}==3"))
    unmet = await created(api, "subscriptions", subscription(q="zone{Zone:level}==4"))
    entity_id = await created(api, "entities", body)
    assert (await explained(api, known, entity_id))["told"]
    assert failed(await explained(api, unmet, entity_id)) == ["q"]


async def test_what_was_before_the_subscription_is_not_told(api: Api) -> None:
    entity_id = await created(api, "entities", room(temperature=1))
    known = await created(api, "subscriptions", subscription())
    assert failed(await explained(api, known, entity_id)) == ["since"]


async def test_a_deleted_entity_is_explained_by_what_it_was(api: Api) -> None:
    known = await created(api, "subscriptions", subscription(notificationTrigger=["entityDeleted"], q="temperature==1"))
    entity_id = await created(api, "entities", room(temperature=1))
    assert failed(await explained(api, known, entity_id)) == ["notificationTrigger"]
    await api("DELETE", f"entities/{entity_id}")
    assert (await explained(api, known, entity_id))["told"]


async def test_a_periodic_subscription_is_told_whatever_changed(api: Api) -> None:
    entity_id = await created(api, "entities", room(temperature=1))
    known = await created(api, "subscriptions", subscription(timeInterval=60, q="temperature==1"))
    assert (await explained(api, known, entity_id))["told"]
    await api("DELETE", f"entities/{entity_id}")
    assert failed(await explained(api, known, entity_id)) == ["entity"]


async def test_changes_that_were_written_together_are_judged_each(api: Api, mongo: str) -> None:
    known = await created(api, "subscriptions", subscription(q="temperature>1"))
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        first = entity(unique_id("Room"), temperature=1)
        second, change = updated(first, "r2", temperature=2)
        third, last = updated(second, "r3", temperature=0)
        await Writer(client, "apitest").write((third, [change, last]))
    found = await explained(api, known, third.id)
    assert (found["told"], failed(found)) == (False, ["q"])
    assert [item["told"] for item in found["earlier"]] == [True]


async def test_names_are_those_of_the_reader(api: Api) -> None:
    link = f'<{CAMPUS}>; rel="http://www.w3.org/ns/json-ld#context"'
    known = await created(api, "subscriptions", subscription(q="peopleCount>5"), Link=link)
    entity_id = await created(api, "entities", room(peopleCount=1), Link=link)
    detail = of(await explained(api, known, entity_id, Link=link), "q")["parts"][0]["detail"]
    assert detail == "peopleCount>5 does not hold: peopleCount is 1"
    assert "https://" in of(await explained(api, known, entity_id), "q")["detail"]


async def test_what_is_not_there(api: Api) -> None:
    known = await created(api, "subscriptions", subscription())
    found = await explained(api, known, "urn:ngsi-ld:Room:never")
    assert (found["told"], failed(found)) == (False, ["entity"])
    assert (await api("GET", EXPLAIN.format("urn:x:never") + "?entityId=urn:x:1"))[0] == 404
    assert (await api("GET", EXPLAIN.format(known)))[0] == 400
    assert (await api("GET", EXPLAIN.format(known) + "?entityId=room"))[0] == 400
