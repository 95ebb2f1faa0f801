"""Hostile input at the subscription endpoints: a clear 4xx or exact storage, in bounded time; never a 5xx."""

from time import monotonic
from typing import Any

import pytest

from tests.broker.api.conftest import Api
from tests.broker.api.test_hostile import NAMES, TEXTS, WITHIN_S
from tests.builders import unique_id

GOOD: dict[str, Any] = {
    "type": "Subscription",
    "entities": [{"type": "Hostile"}],
    "notification": {"endpoint": {"uri": "https://receiver.example/hostile"}},
}
VALUES: list[Any] = [None, True, -1, 1e308, "\x00", "$where", [], [{}], [None], {"$gt": ""}]
MEMBERS = [
    *("id", "type", "subscriptionName", "description", "entities", "watchedAttributes", "notificationTrigger", "q"),
    *("geoQ", "csf", "isActive", "notification", "expiresAt", "throttling", "timeInterval", "temporalQ", "scopeQ"),
    *("lang", "datasetId", "jsonldContext", "expandValues", "jsonKeys", "splitEntities", "localOnly"),
]
PATTERNS = ["(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "a{1000}{1000}", "[", "(?=x)", "\\", "." * 5000, "(" * 2000]


async def tried(api: Api, members: dict[str, Any]) -> int:
    """The status of creating a subscription; what is created is read, listed and deleted again."""
    body = GOOD | {"id": unique_id("Subscription")} | members
    since = monotonic()
    status, headers, problem = await api("POST", "subscriptions", body)
    assert monotonic() - since < WITHIN_S
    assert status in (201, 400, 501, 504), problem
    if status == 201:
        path = headers["location"].removeprefix("/ngsi-ld/v1/")
        read, _, shown = await api("GET", path)
        assert read == 200, shown
        assert (await api("DELETE", path))[0] == 204
    else:
        assert problem["detail"]
    return status


@pytest.mark.parametrize("member", MEMBERS)
async def test_members_of_any_type(api: Api, member: str) -> None:
    for value in VALUES:
        await tried(api, {member: value})


@pytest.mark.parametrize("text", TEXTS)
async def test_texts_in_every_place(api: Api, text: str) -> None:
    endpoint = GOOD["notification"]["endpoint"]
    for members in (
        {"subscriptionName": text, "description": text, "watchedAttributes": [text]},
        {"q": text, "expandValues": text, "jsonKeys": text},
        {"q": f'a=="{text}"|a~="{text}"'},
        {"scopeQ": text, "lang": text},
        {"entities": [{"type": text}, {"type": "A", "id": text}]},
        {"entities": [{"type": "A", "idPattern": text}]},
        {"notification": {"endpoint": endpoint | {"receiverInfo": [{"key": text, "value": text}]}}},
        {"notification": {"endpoint": {"uri": f"https://receiver.example/{text}"}}},
        {"notification": {"endpoint": {"uri": text}}},
    ):
        await tried(api, members)


@pytest.mark.parametrize("name", NAMES)
async def test_operators_in_names(api: Api, name: str) -> None:
    await tried(api, {name: 1})
    await tried(api, {"geoQ": {name: 1}})
    await tried(api, {"notification": GOOD["notification"] | {name: {name: 1}}})
    await tried(api, {"entities": [{"type": "A", name: name}]})


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_patterns_are_bounded(api: Api, pattern: str) -> None:
    await tried(api, {"entities": [{"type": "A", "idPattern": pattern}]})
    await tried(api, {"q": f'a~="{pattern}"'})


@pytest.mark.parametrize(
    "uri",
    [
        *("file:///etc/passwd", "gopher://x.example/", "javascript:alert(1)", "http://", "http:///x", "//x.example"),
        *("http://[::1", "http://x.example:99999/", "http://x.example:-1", "http://x.example\r\nX: y", "http://x y/"),
        *("mqtt://x.example", "mqtt://x.example/#", "mqtt://x.example/a/+/b", "mqtts://u:p@x.example:0/a", "stream:x"),
    ],
)
async def test_addresses_that_lead_nowhere_good(api: Api, uri: str) -> None:
    assert await tried(api, {"notification": {"endpoint": {"uri": uri}}}) == 400


async def test_many_of_everything(api: Api) -> None:
    many = 5_000
    await tried(api, {"entities": [{"type": f"T{number}", "id": f"urn:x:{number}"} for number in range(many)]})
    await tried(api, {"watchedAttributes": [f"a{number}" for number in range(many)]})
    await tried(api, {"q": ";".join(f"a{number}==1" for number in range(many))})
    await tried(api, {"scopeQ": "/a" * many})
    ring = [[number / many, 0] for number in range(many)]
    await tried(api, {"geoQ": {"georel": "within", "geometry": "Polygon", "coordinates": [[*ring, [0, 1], ring[0]]]}})
    await tried(api, {"description": "x" * 1_000_000})


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"1", b'"x"', b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_bodies_that_are_none(api: Api, method: str, content: bytes) -> None:
    path = "subscriptions" if method == "POST" else "subscriptions/urn:x:never"
    status, _, _ = await api(method, path, content, Content_Type="application/json")
    assert status in ((400,) if method == "POST" else (400, 404))


@pytest.mark.parametrize("member", MEMBERS)
async def test_changes_of_any_type(api: Api, member: str) -> None:
    name = unique_id("Subscription")
    assert (await api("POST", "subscriptions", GOOD | {"id": name}))[0] == 201
    for value in VALUES:
        status, _, problem = await api("PATCH", f"subscriptions/{name}", {member: value})
        assert status in (204, 400, 501, 504), problem
        assert (await api("GET", f"subscriptions/{name}"))[0] == 200
    assert (await api("DELETE", f"subscriptions/{name}"))[0] == 204
