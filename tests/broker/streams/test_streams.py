"""Following subscriptions by Server-Sent Events and by WebSocket: what arrives, from where on, and how it ends."""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from broker.settings import Settings
from broker.streams import client, hub
from ngsi.datetimes import system_text
from tests.broker.api.conftest import Api, serving
from tests.broker.streams.conftest import entity_of, subscribe, write
from tests.broker.streams.listeners import LISTENERS, PATH, sse, websocket
from tests.waiting import until

both = pytest.mark.parametrize("listen", LISTENERS.values(), ids=LISTENERS)


@both
async def test_changes_arrive_in_order(streaming: Api, listen: type) -> None:
    subscription = await subscribe(streaming)
    async with listen(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        await write(streaming, subscription, 1, 2, 3)
        assert await heard.until_values(3) == [1, 2, 3]
    notification = heard.of("notification")[0]
    assert notification["type"] == "Notification"
    assert notification["subscriptionId"] == subscription


@both
async def test_who_comes_back_misses_nothing_and_hears_nothing_twice(streaming: Api, other: Api, listen: type) -> None:
    subscription = await subscribe(streaming)
    async with listen(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        await write(streaming, subscription, 1, 2)
        await heard.until_values(2)
    await write(streaming, subscription, 3, 4)
    async with listen(other.address, subscription, heard.last_id) as again:
        await again.until_values(2)
        await write(streaming, subscription, 5)
        assert await again.until_values(3) == [3, 4, 5]


async def test_every_id_leads_to_what_came_after_it(streaming: Api) -> None:
    subscription = await subscribe(streaming)
    kind = subscription.rpartition(":")[2]
    path = f"entities/urn:ngsi-ld:{kind}:one/attrs"
    async with websocket(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        await write(streaming, subscription, 0)
        # At the same time: several changes of an entity end in one write.
        bodies = [{"temperature": {"type": "Property", "value": value}} for value in range(1, 20)]
        await asyncio.gather(*(streaming("PATCH", path, body) for body in bodies))
        await heard.until_values(20)
    assert any("." in last_id for last_id in heard.ids)
    for number, last_id in enumerate(heard.ids[:-1]):
        async with sse(streaming.address, subscription, last_id) as again:
            assert await again.until_values(19 - number) == heard.values[number + 1 :]


@both
async def test_one_notification_for_a_request(streaming: Api, listen: type) -> None:
    subscription = await subscribe(streaming)
    kind = subscription.rpartition(":")[2]
    entities = [entity_of(kind, str(number), number) for number in range(700)]
    async with listen(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        first_id = heard.last_id
        await streaming("POST", "entityOperations/create", entities)
        assert sorted(await heard.until_values(700)) == list(range(700))
        assert len(heard.of("notification")) == 1
    async with listen(streaming.address, subscription, first_id) as again:
        await again.until_values(700)
        assert [item["id"] for item in again.of("notification")] == [item["id"] for item in heard.of("notification")]


async def test_the_tenant_can_stand_in_the_address(streaming: Api) -> None:
    subscription = await subscribe(streaming, "settat")
    async with sse(streaming.address, subscription, tenant="settat") as heard:
        await write(streaming, subscription, 7, tenant="settat")
        assert await heard.until_values(1) == [7]
    async with websocket(streaming.address, subscription, tenant="rabat") as heard:
        await until(lambda: heard.is_over)
        assert heard.close_code == 4404


async def test_what_cannot_be_followed_says_why(streaming: Api) -> None:
    status, _, problem = await streaming("GET", PATH.format("urn:ngsi-ld:Subscription:nobody"))
    assert (status, problem["title"]) == (404, "Resource not found")
    async with websocket(streaming.address, "urn:ngsi-ld:Subscription:nobody") as heard:
        await until(lambda: heard.is_over)
        assert heard.close_code == 4404
    known = await subscribe(streaming)
    status, _, problem = await streaming("GET", PATH.format(known) + "?lastEventId=yesterday")
    assert (status, "lastEventId" in problem["detail"]) == (400, True)
    status, _, problem = await streaming("GET", PATH.format(known), Accept="application/json")
    assert status == 406
    status, _, problem = await streaming("GET", PATH.format(known) + "?tenant=a", NGSILD_Tenant="b")
    assert status == 400
    periodic = await subscribe(streaming, timeInterval=60)
    status, _, problem = await streaming("GET", PATH.format(periodic))
    assert (status, "timeInterval" in problem["detail"]) == (422, True)


@both
async def test_a_deleted_subscription_ends_the_stream(streaming: Api, listen: type) -> None:
    subscription = await subscribe(streaming)
    async with listen(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        await streaming("DELETE", f"subscriptions/{subscription}")
        await until(lambda: heard.is_over)
    assert heard.of("end") == [
        {"reason": "deleted", "detail": f"Subscription {subscription} was deleted", "resumable": False}
    ]
    assert heard.close_code in (None, 1000)


async def test_the_end_of_a_tenant_ends_its_streams(mongo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "LOOK_AGAIN_S", 0.1)
    async with serving(Settings(mongodb_uri=mongo, database="tenantstreams", operator_key="sesame")) as api:
        subscription = await subscribe(api, "settat")
        async with sse(api.address, subscription, tenant="settat") as heard:
            await until(lambda: heard.last_id)
            await api("DELETE", "/ngsi-ld/ex/v1/tenants/settat", Authorization="Bearer sesame")
            await until(lambda: heard.is_over)
    assert heard.of("end")[0]["reason"] == "deleted"


async def test_a_changed_subscription_is_followed_as_it_is_then(streaming: Api) -> None:
    subscription = await subscribe(streaming)
    async with sse(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        await streaming("PATCH", f"subscriptions/{subscription}", {"isActive": False})
        await until(lambda: heard.of("status") == [{"status": "paused"}])
        await write(streaming, subscription, 1)
        await streaming("PATCH", f"subscriptions/{subscription}", {"isActive": True})
        await until(lambda: len(heard.of("status")) == 2)
        await write(streaming, subscription, 2)
        assert await heard.until_values(1) == [2]


async def test_an_expiring_subscription_ends_the_stream(streaming: Api) -> None:
    soon = system_text(datetime.now(UTC) + timedelta(seconds=1))
    subscription = await subscribe(streaming, expiresAt=soon)
    async with sse(streaming.address, subscription) as heard:
        await until(lambda: heard.is_over)
        assert heard.of("end")[0]["reason"] == "expired"
    status, _, problem = await streaming("GET", PATH.format(subscription))
    assert (status, "expired" in problem["detail"]) == (422, True)


@both
async def test_throttling_tells_the_last_state(streaming: Api, listen: type) -> None:
    subscription = await subscribe(streaming, throttling=1)
    async with listen(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        first_id = heard.last_id
        await write(streaming, subscription, 1, 2, 3)
        await write(streaming, subscription, 4, 5, entity="two")
        assert await heard.until_values(3) == [1, 3, 5]
        assert len(heard.of("notification")) == 2
    async with listen(streaming.address, subscription, first_id) as again:
        assert await again.until_values(3) == [1, 3, 5]


async def test_a_place_that_the_log_does_not_reach_is_told(streaming: Api) -> None:
    subscription = await subscribe(streaming)
    async with sse(streaming.address, subscription, "ffffffff000000010001") as heard:
        await until(lambda: heard.of("gap"))
        await write(streaming, subscription, 1)
        assert await heard.until_values(1) == [1]


@both
async def test_silence_is_broken_by_heartbeats_that_move_the_id(
    streaming: Api, listen: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "HEARTBEAT_S", 0.1)
    subscription, elsewhere = await subscribe(streaming), await subscribe(streaming)
    async with listen(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        first_id = heard.last_id
        await write(streaming, elsewhere, 1)
        await until(lambda: heard.last_id > first_id)
        assert heard.events == []
    if listen is sse:
        assert b"\n:\nid: " in heard.raw
        assert heard.raw.startswith(b"retry: ")


async def test_a_page_of_a_foreign_origin_opens_no_websocket(streaming: Api) -> None:
    subscription = await subscribe(streaming)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with websocket(streaming.address, subscription, origin="https://elsewhere.example"):
            pass
    assert refused.value.status == 403
    async with websocket(streaming.address, subscription, origin=streaming.address) as heard:
        await until(lambda: heard.last_id)


async def test_many_who_follow_hear_the_same(streaming: Api) -> None:
    subscription = await subscribe(streaming)
    async with (
        sse(streaming.address, subscription) as first,
        sse(streaming.address, subscription) as second,
        websocket(streaming.address, subscription) as third,
    ):
        await until(lambda: first.last_id and second.last_id and third.last_id)
        await write(streaming, subscription, 1, 2)
        for heard in (first, second, third):
            await heard.until_values(2)
        assert first.events == second.events == third.events
