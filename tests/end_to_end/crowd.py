"""Many requests at once to one context API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp

from tests.end_to_end.city import HEADERS


@dataclass(frozen=True)
class Call:
    """One request; `path` is below /ngsi-ld/v1 of the API on `port`. A `body` of bytes is sent as it is."""

    port: int
    method: str
    path: str
    body: Any


@dataclass(frozen=True)
class Answer:
    """Status, headers and the body as text."""

    status: int
    headers: dict[str, str]
    text: str


async def answers(calls: Iterable[Call], connections: int = 100) -> list[Answer]:
    """Send all of them over at most `connections` connections; answers in the order of the calls."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        return await asyncio.gather(*(_answer(session, call) for call in calls))


async def _answer(session: aiohttp.ClientSession, call: Call) -> Answer:
    content = call.body if isinstance(call.body, bytes) else json.dumps(call.body).encode()
    url = f"http://127.0.0.1:{call.port}/ngsi-ld/v1{call.path}"
    async with session.request(call.method, url, data=BytesIO(content), headers=HEADERS) as response:
        return Answer(response.status, dict(response.headers), await response.text())
