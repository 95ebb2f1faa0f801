"""Clients of streams: one reads Server-Sent Events as the HTML standard says (9.2.6), the other WebSocket frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.waiting import until

PATH = "/ngsi-ld/ex/v1/subscriptions/{}/stream"


@dataclass
class Heard:
    """What a listener heard so far. `last_id` is where it would go on, `ids` where it would have after each event."""

    events: list[tuple[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    last_id: str = ""
    is_over: bool = False
    close_code: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""

    @property
    def values(self) -> list[Any]:
        """The temperatures of all entities notified, in the order of their arrival."""
        return [
            entity["temperature"]["value"]
            for event, data in self.events
            if event == "notification"
            for entity in data["data"]
        ]

    def of(self, event: str) -> list[Any]:
        """The data of the events of one kind."""
        return [data for name, data in self.events if name == event]

    async def until_values(self, count: int, within_s: float = 20.0) -> list[Any]:
        """The values, once there are so many."""
        await until(lambda: len(self.values) >= count, within_s)
        return self.values


@asynccontextmanager
async def sse(address: str, subscription: str, last_id: str | None = None, **parameters: str) -> AsyncIterator[Heard]:
    """Listens to Server-Sent Events until the block ends."""
    heard = Heard()
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=60)) as session,
        session.get(address + PATH.format(subscription), headers=headers, params=parameters) as response,
    ):
        assert response.status == 200, await response.text()
        heard.headers = {name.lower(): value for name, value in response.headers.items()}
        listening = asyncio.create_task(_read_events(response, heard))
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _read_events(response: aiohttp.ClientResponse, heard: Heard) -> None:
    fields: dict[str, str] = {}
    rest = b""
    try:
        async for chunk in response.content.iter_any():
            heard.raw += chunk
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not line:
                    heard.last_id = fields.get("id", heard.last_id)
                    if "data" in fields:
                        heard.events.append((fields["event"], orjson.loads(fields["data"])))
                        heard.ids.append(heard.last_id)
                    fields = {}
                name, _, value = line.decode().partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
    except aiohttp.ClientError:
        pass
    heard.is_over = True


@asynccontextmanager
async def websocket(
    address: str, subscription: str, last_id: str | None = None, *, origin: str | None = None, **parameters: str
) -> AsyncIterator[Heard]:
    """Listens to a WebSocket until the block ends."""
    heard = Heard()
    if last_id:
        parameters["lastEventId"] = last_id
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(address + PATH.format(subscription), params=parameters, origin=origin) as connection,
    ):
        listening = asyncio.create_task(_read_frames(connection, heard))
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _read_frames(connection: aiohttp.ClientWebSocketResponse, heard: Heard) -> None:
    async for frame in connection:
        message = orjson.loads(frame.data)
        heard.last_id = message.get("id", heard.last_id)
        if message["event"] != "heartbeat":
            heard.events.append((message["event"], message["data"]))
            heard.ids.append(heard.last_id)
    heard.close_code = connection.close_code
    heard.is_over = True


LISTENERS = {"sse": sse, "websocket": websocket}
