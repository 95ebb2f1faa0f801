"""What streams cost at the most: clients that do not read, many that come back at once, more than there may be."""

import asyncio
from contextlib import AsyncExitStack, suppress

import orjson

from broker.settings import Settings
from broker.streams.channel import Channel
from broker.streams.message import Message
from tests.broker.api.conftest import Api, serving
from tests.broker.streams.conftest import subscribe, write
from tests.broker.streams.listeners import PATH, sse, websocket
from tests.waiting import until


async def test_a_client_that_does_not_read_ends_and_goes_on_where_it_stopped(mongo: str) -> None:
    settings = Settings(mongodb_uri=mongo, database="slowstreams", stream_bytes=20_000, transfer_timeout_s=2)
    async with serving(settings) as api:
        subscription = await subscribe(api)
        host, _, port = api.address.removeprefix("http://").partition(":")
        # A small window, so that little of what is not read is taken by the kernel.
        reader, writer = await asyncio.open_connection(host, int(port), limit=2_000)
        writer.write(f"GET {PATH.format(subscription)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"text/event-stream" in head
        first_id = (await reader.readuntil(b"\n\n")).partition(b"id: ")[2].partition(b"\n")[0].decode()
        large = {"note": {"type": "Property", "value": "x" * 100_000}}
        kind = subscription.rpartition(":")[2]
        for number in range(120):
            entity = {"id": f"urn:ngsi-ld:{kind}:{number}", "type": kind, **large}
            assert (await api("POST", "entities", entity))[0] == 201
        await until(lambda: _ended(api, "slow") + _ended(api, "stuck"))
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
        async with sse(api.address, subscription, first_id) as heard:
            await until(lambda: len(heard.of("notification")) == 120)
        assert [item["data"][0]["id"].rpartition(":")[2] for item in heard.of("notification")] == [
            str(number) for number in range(120)
        ]


def _ended(api: Api, reason: str) -> float:
    from prometheus_client import REGISTRY

    return REGISTRY.get_sample_value("medina_streams_ended_total", {"reason": reason}) or 0.0


def test_a_channel_never_holds_more_than_its_bound() -> None:
    channel = Channel(1_000)
    channel.listen()
    channel.join()
    for number in range(100):
        channel.put(Message("notification", b"x" * 100, str(number)))
    assert channel.is_ended
    (last,) = asyncio.run(channel.take(0.1))
    assert orjson.loads(last.data)["reason"] == "slow"
    assert orjson.loads(last.data)["resumable"] is True


async def test_many_come_back_at_once(streaming: Api) -> None:
    subscription = await subscribe(streaming)
    async with sse(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        first_id = heard.last_id
        await write(streaming, subscription, 1, 2, 3)
        await heard.until_values(3)
    async with AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(sse(streaming.address, subscription, first_id)) for _ in range(30)]
        await write(streaming, subscription, 4)
        for one in crowd:
            assert await one.until_values(4) == [1, 2, 3, 4]


async def test_nobody_is_served_beyond_the_number_allowed(mongo: str) -> None:
    async with serving(Settings(mongodb_uri=mongo, database="fewstreams", stream_count=1)) as api:
        subscription = await subscribe(api)
        async with sse(api.address, subscription):
            status, headers, _ = await api("GET", PATH.format(subscription))
            assert (status, "retry-after" in headers) == (503, True)
            async with websocket(api.address, subscription) as heard:
                await until(lambda: heard.is_over)
                assert heard.close_code == 4503


async def test_the_feed_is_open_only_while_somebody_listens(streaming: Api) -> None:
    subscription = await subscribe(streaming)
    async with sse(streaming.address, subscription) as heard:
        await until(lambda: heard.last_id)
        assert any(task.get_name() == "streams-feed" for task in asyncio.all_tasks())
    await until(lambda: not any(task.get_name() == "streams-feed" for task in asyncio.all_tasks()))


async def test_a_server_that_stops_sends_its_clients_to_another(mongo: str, other: Api) -> None:
    server = AsyncExitStack()
    api = await server.enter_async_context(serving(Settings(mongodb_uri=mongo, database="streams")))
    subscription = await subscribe(api)
    async with websocket(api.address, subscription) as first, sse(api.address, subscription) as second:
        await until(lambda: first.last_id and second.last_id)
        stopping = asyncio.create_task(server.aclose())
        await until(stopping.done, within_s=5)
    assert first.of("end") == second.of("end")
    assert (first.of("end")[0]["reason"], first.of("end")[0]["resumable"]) == ("stopping", True)
    assert first.close_code == 1012
    await write(other, subscription, 1)
    async with sse(other.address, subscription, first.last_id) as heard:
        assert await heard.until_values(1) == [1]


async def test_a_client_that_does_not_read_keeps_no_server_from_stopping(mongo: str) -> None:
    server = AsyncExitStack()
    api = await server.enter_async_context(serving(Settings(mongodb_uri=mongo, database="stuckstreams")))
    subscription = await subscribe(api)
    host, _, port = api.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2_000)
    writer.write(f"GET {PATH.format(subscription)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    kind = subscription.rpartition(":")[2]
    for number in range(100):
        entity = {"id": f"urn:ngsi-ld:{kind}:{number}", "type": kind, "note": {"value": "x" * 100_000}}
        await api("POST", "entities", entity)
    stopping = asyncio.create_task(server.aclose())
    await until(stopping.done, within_s=5)
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()
