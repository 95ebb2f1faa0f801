"""A receiver of notifications: a real HTTP server that can be slow, refuse, stop and come back on the same port."""

import asyncio
import ssl
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass
class Receiver:
    """What came in, in order. `answer` is the status to give, `delay_s` how long to take; none while not `is_free`."""

    port: int
    answer: int = 204
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    received: list[dict[str, Any]] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    is_free: asyncio.Event = field(default_factory=asyncio.Event)
    attempts: int = 0
    times_s: list[float] = field(default_factory=list)
    """When each attempt came in, by the event loop's clock."""
    tls: ssl.SSLContext | None = None
    _runner: web.AppRunner | None = None

    @property
    def uri(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/notify"

    def __post_init__(self) -> None:
        self.is_free.set()

    async def start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/notify", self._notified)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, ssl_context=self.tls).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _notified(self, request: web.Request) -> web.Response:
        self.attempts += 1
        self.times_s.append(asyncio.get_running_loop().time())
        notification = orjson.loads(await request.read())
        await self.is_free.wait()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        data = notification["data"]
        entities = data if isinstance(data, list) else data["features"]
        answer = 400 if {item.get("id") for item in entities} & self.refused else self.answer
        if 200 <= answer < 300:
            self.received.append(notification)
            self.requests.append(request)
        return web.Response(status=answer, headers=self.headers)

    def values(self, name: str = "temperature") -> dict[str, list[Any]]:
        """Entity id → the values of an attribute in the order of their arrival, repetitions left out."""
        seen: set[str] = set()
        found: dict[str, list[Any]] = defaultdict(list)
        for notification in self.received:
            if notification["id"] in seen:
                continue
            seen.add(notification["id"])
            for item in notification["data"]:
                found[item["id"]].append(item[name]["value"])
        return dict(found)
