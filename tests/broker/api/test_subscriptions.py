"""Subscriptions as resources; what they deliver is tested with the notifier."""

from typing import Any

import pytest

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
