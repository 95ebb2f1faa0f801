"""Update acknowledged → client of a stream, at a steady rate: Server-Sent Events and WebSocket.

The updates and the client share one event loop with nothing else in it, so that both moments are told by one clock.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import count
from statistics import quantiles
from time import monotonic

import aiohttp

from tests.bench import cameras
from tests.bench.scenario import ENTITIES, Outcome, Scenario
from tests.bench.scenarios.update import ATTRIBUTE
from tests.end_to_end.city import HEADERS, City

RATE = 500
CONNECTIONS = 16
ARRIVE_WITHIN_S = 10
SUBSCRIPTION = "urn:ngsi-ld:Subscription:stream-latency"
FIRST_NUMBER = 1_000_000_000
_NUMBER = re.compile(rb'"%s":\{"type":"Property","value":(\d+)' % ATTRIBUTE.encode())
_numbers = count(FIRST_NUMBER)

Chunks = AsyncIterator[bytes]


async def _sse(session: aiohttp.ClientSession, url: str) -> Chunks:
    async with session.get(url, headers={"Accept": "text/event-stream"}) as response:
        async for chunk in response.content.iter_any():
            yield chunk


async def _websocket(session: aiohttp.ClientSession, url: str) -> Chunks:
    async with session.ws_connect(url) as connection:
        async for frame in connection:
            yield frame.data.encode()


def run(
    city: City, seconds: float, listen: Callable[[aiohttp.ClientSession, str], Chunks], rate: int = RATE
) -> Outcome:
    """Updates per second of wanted duration; latency from the answer to each to its notification."""
    body = {
        "id": SUBSCRIPTION,
        "type": "Subscription",
        "entities": [{"type": "ThermalCamera"}],
        "notification": {"endpoint": {"uri": "stream:"}},
    }
    assert city.api("POST", "/subscriptions", body).status == 201
    try:
        return asyncio.run(_measure(city, int(seconds * rate), rate, listen))
    finally:
        city.api("DELETE", f"/subscriptions/{SUBSCRIPTION}")


async def _measure(
    city: City, updates: int, rate: int, listen: Callable[[aiohttp.ClientSession, str], Chunks]
) -> Outcome:
    base = f"http://127.0.0.1:{city.ports['broker']}"
    acknowledged: dict[int, float] = {}
    arrived: dict[int, float] = {}
    connector = aiohttp.TCPConnector(limit=CONNECTIONS + 1)
    async with aiohttp.ClientSession(connector=connector) as session:
        chunks = listen(session, f"{base}/ngsi-ld/ex/v1/subscriptions/{SUBSCRIPTION}/stream")
        await anext(chunks)
        hearing = asyncio.create_task(_hear(chunks, arrived, updates))
        began_s = monotonic()
        sending = []
        for number in range(updates):
            await asyncio.sleep(max(0.0, began_s + number / rate - monotonic()))
            sending.append(asyncio.create_task(_update(session, base, next(_numbers), acknowledged)))
        await asyncio.gather(*sending)
        duration_s = monotonic() - began_s
        try:
            await asyncio.wait_for(hearing, ARRIVE_WITHIN_S)
        except TimeoutError:
            return Outcome(0, 0, 0, f"{len(acknowledged.keys() - arrived.keys())} lost")
    latencies_ms = [max(0.0, arrived[number] - at_s) * 1e3 for number, at_s in acknowledged.items()]
    cuts = quantiles(latencies_ms, n=100)
    return Outcome(updates / duration_s, cuts[49], cuts[98])


async def _hear(chunks: Chunks, arrived: dict[int, float], wanted: int) -> None:
    rest = b""
    while len(arrived) < wanted:
        chunk = rest + await anext(chunks)
        now_s = monotonic()
        end = 0
        for match in _NUMBER.finditer(chunk):
            arrived[int(match[1])] = now_s
            end = match.end()
        rest = chunk[end:][-2000:]


async def _update(session: aiohttp.ClientSession, base: str, number: int, acknowledged: dict[int, float]) -> None:
    path = f"{ENTITIES}/{cameras.camera_id(number % cameras.COUNT)}/attrs"
    body = {ATTRIBUTE: {"type": "Property", "value": number, "observedAt": cameras.OBSERVED_AT}}
    async with session.patch(base + path, json=body, headers=HEADERS) as answer:
        acknowledged[number] = monotonic()
        assert answer.status == 204, await answer.text()


_KINDS: tuple[tuple[str, str, Callable[[aiohttp.ClientSession, str], Chunks]], ...] = (
    ("SSE", "Server-Sent Events", _sse),
    ("WS", "WebSocket", _websocket),
)


def _warm_up(listen: Callable[[aiohttp.ClientSession, str], Chunks]) -> Callable[[City], object]:
    return lambda city: run(city, 1.0, listen)


LATENCIES = tuple(
    Scenario(
        f"{name}@{RATE}",
        f"update acknowledged → {title} at {RATE}/s",
        "updates/s",
        partial(run, listen=listen),
        _warm_up(listen),
        p50_limit_ms=10.0,
    )
    for name, title, listen in _KINDS
)
