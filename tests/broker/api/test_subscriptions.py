"""Subscriptions as resources; what they deliver is tested with the notifier."""

import asyncio
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from tests.broker.api.conftest import CAMPUS, Api
from tests.builders import unique_id


def subscription(**members: Any) -> dict[str, Any]:
    return {
        "id": unique_id("Subscription"),
        "type": "Subscription",
        "entities": [{"type": "Room"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:3000/notify", "accept": "application/json"}},
        **members,
    }


@pytest.mark.clause("5.8.1")
async def test_a_subscription_is_created_once_shown_and_deleted(api: Api) -> None:
    body = subscription(watchedAttributes=["temperature"], q="temperature>25")
    status, headers, _ = await api("POST", "subscriptions", body)
    assert (status, headers["location"]) == (201, f"/ngsi-ld/v1/subscriptions/{body['id']}")
    assert (await api("POST", "subscriptions", body))[0] == 409
    status, _, shown = await api("GET", f"subscriptions/{body['id']}")
    assert status == 200
    assert body.items() <= shown.items()
    assert shown["status"] == "active"
    assert [(await api("DELETE", f"subscriptions/{body['id']}"))[0] for _ in range(2)] == [204, 404]


async def test_a_subscription_without_id_gets_one(api: Api) -> None:
    body = subscription()
    del body["id"]
    _, headers, _ = await api("POST", "subscriptions", body, NGSILD_Tenant="subs")
    location = headers["location"].removeprefix("/ngsi-ld/v1/")
    assert (await api("GET", location, NGSILD_Tenant="subs"))[2]["entities"] == [{"type": "Room"}]


@pytest.mark.clause("5.8.4")
async def test_subscriptions_are_listed_in_pages(api: Api) -> None:
    ids = sorted([(await _created(api)) for _ in range(3)])
    _, headers, first = await api("GET", "subscriptions?limit=2&count=true", NGSILD_Tenant="pages")
    assert (headers["ngsild-results-count"], 'rel="next"' in headers["link"]) == ("3", True)
    _, _, second = await api("GET", "subscriptions?limit=2&offset=2", NGSILD_Tenant="pages")
    assert [item["id"] for item in first + second] == ids


async def _created(api: Api) -> str:
    body = subscription()
    await api("POST", "subscriptions", body, NGSILD_Tenant="pages")
    return str(body["id"])


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"type": "Sub"}, 400),
        ({"entities": []}, 400),
        ({"entities": [{"id": "urn:x:1"}]}, 400),
        ({"notification": {"endpoint": {"uri": "nowhere"}}}, 400),
        ({"q": "a=="}, 400),
        ({"notificationTrigger": ["sometimes"]}, 400),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, 400),
        ({"jsonldContext": "https://nowhere.example/c.jsonld"}, 504),
        ({"notification": {"endpoint": {"uri": "mqtt://127.0.0.1/"}}}, 400),
        ({"throttling": 5, "timeInterval": 5}, 400),
    ],
)
async def test_a_wrong_subscription_is_refused(api: Api, members: dict[str, Any], status: int) -> None:
    answered, _, problem = await api("POST", "subscriptions", subscription(**members))
    assert (answered, problem["status"]) == (status, status)


async def test_names_are_shown_in_the_context_of_the_reader(api: Api) -> None:
    link = f'<{CAMPUS}>; rel="http://www.w3.org/ns/json-ld#context"'
    body = subscription(entities=[{"type": "Zone"}], watchedAttributes=["peopleCount"])
    assert (await api("POST", "subscriptions", body, Link=link))[0] == 201
    _, _, shown = await api("GET", f"subscriptions/{body['id']}", Link=link)
    assert (shown["entities"], shown["watchedAttributes"]) == ([{"type": "Zone"}], ["peopleCount"])
    _, _, plain = await api("GET", f"subscriptions/{body['id']}")
    assert plain["watchedAttributes"] != ["peopleCount"]


async def shown(api: Api, subscription_id: str, **headers: str) -> dict[str, Any]:
    status, _, found = await api("GET", f"subscriptions/{subscription_id}", **headers)
    assert status == 200
    return dict(found)


@pytest.mark.clause("5.8.2")
async def test_a_subscription_is_changed_in_the_members_that_are_sent(api: Api) -> None:
    body = subscription(q="temperature>25", throttling=5, description="old")
    await api("POST", "subscriptions", body)
    path = f"subscriptions/{body['id']}"
    fragment = {"type": "Subscription", "description": "new", "throttling": None, "isActive": False}
    status, _, nothing = await api("PATCH", path, fragment, Content_Type="application/merge-patch+json")
    assert (status, nothing) == (204, b"")
    found = await shown(api, body["id"])
    assert (found["description"], found["q"], found["status"]) == ("new", "temperature>25", "paused")
    assert "throttling" not in found
    assert (await api("PATCH", path, {"isActive": True}))[0] == 204
    assert (await shown(api, body["id"]))["status"] == "active"


@pytest.mark.clause("5.8.2")
@pytest.mark.parametrize(
    ("fragment", "status"),
    [
        ({"notification": {"format": "keyValues"}}, 400),
        ({"notification": None}, 400),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, 400),
        ({"id": "urn:ngsi-ld:Subscription:other"}, 400),
        ({"jsonldContext": "https://nowhere.example/c.jsonld"}, 504),
        ([], 400),
    ],
)
async def test_a_wrong_change_is_refused_and_changes_nothing(api: Api, fragment: Any, status: int) -> None:
    body = subscription()
    await api("POST", "subscriptions", body)
    before = await shown(api, f"{body['id']}?options=sysAttrs")
    answered, _, problem = await api("PATCH", f"subscriptions/{body['id']}", fragment)
    assert (answered, problem["status"]) == (status, status)
    assert await shown(api, f"{body['id']}?options=sysAttrs") == before


async def test_what_does_not_exist_cannot_be_changed(api: Api) -> None:
    assert (await api("PATCH", "subscriptions/urn:ngsi-ld:Subscription:none", {"isActive": True}))[0] == 404
    assert (await api("PATCH", "subscriptions/none", {"isActive": True}))[0] == 400


async def test_changes_at_the_same_time_lose_nothing(api: Api) -> None:
    body = subscription()
    await api("POST", "subscriptions", body)
    path = f"subscriptions/{body['id']}"
    members: list[dict[str, Any]] = [{"description": "d"}, {"subscriptionName": "n"}, {"throttling": 3}, {"lang": "fr"}]
    answers = await asyncio.gather(*(api("PATCH", path, member) for member in members))
    assert [status for status, _, _ in answers] == [204] * 4
    found = await shown(api, body["id"])
    assert all(member.items() <= found.items() for member in members)


async def test_a_change_under_another_context_leaves_that_of_the_subscription(api: Api) -> None:
    link = f'<{CAMPUS}>; rel="http://www.w3.org/ns/json-ld#context"'
    body = subscription(entities=[{"type": "Zone"}], watchedAttributes=["peopleCount"])
    await api("POST", "subscriptions", body, Link=link)
    await api("PATCH", f"subscriptions/{body['id']}", {"watchedAttributes": ["temperature"], "q": "temperature>1"})
    found = await shown(api, body["id"], Link=link)
    assert (found["entities"], found["jsonldContext"]) == ([{"type": "Zone"}], CAMPUS)
    assert (await shown(api, body["id"]))["watchedAttributes"] == ["temperature"]


async def test_the_context_of_notifications_can_be_given_later_and_taken_back(api: Api) -> None:
    terms = {"peopleCount": "https://example.org/people"}
    body = subscription(**{"@context": terms, "jsonldContext": CAMPUS})
    sent = {"Content_Type": "application/ld+json"}
    assert (await api("POST", "subscriptions", body, **sent))[0] == 201
    assert (await shown(api, body["id"]))["jsonldContext"] == CAMPUS
    assert (await api("PATCH", f"subscriptions/{body['id']}", {"jsonldContext": None}))[0] == 204
    own = (await shown(api, body["id"]))["jsonldContext"]
    assert (await api("GET", f"{own}"))[2]["@context"] == terms
    assert (await api("PATCH", f"subscriptions/{body['id']}", {"jsonldContext": CAMPUS}))[0] == 204
    assert (await shown(api, body["id"]))["jsonldContext"] == CAMPUS


async def test_a_context_that_cannot_be_had_any_more_does_not_stand_in_the_way_of_a_pause(api: Api, mongo: str) -> None:
    body = subscription(jsonldContext=CAMPUS)
    await api("POST", "subscriptions", body)
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        gone = {"$set": {"subscription.jsonldContext": "https://nowhere.example/gone.jsonld"}}
        await client["apitest"]["subscriptions"].update_one({"_id": body["id"]}, gone)
    assert (await api("PATCH", f"subscriptions/{body['id']}", {"isActive": False}))[0] == 204
