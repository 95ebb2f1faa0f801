"""A server of @context documents: a real HTTP server that can be slow, wrong, huge, and stop."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

TERMS = {"temperature": "https://city.example/terms#temperature", "Room": "https://city.example/terms#Room"}


@dataclass
class Page:
    """What a path gives: a body (JSON unless bytes), after a delay."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass
class ContextServer:
    """`pages` by path; `asked` counts the requests for each path."""

    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    _runner: web.AppRunner | None = None

    def put(self, path: str, body: Any = None, **members: Any) -> str:
        """Gives a path its page; its URL."""
        self.pages[path] = Page({"@context": TERMS} if body is None else body, **members)
        return f"http://127.0.0.1:{self.port}/{path}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.asked[path] += 1
        page = self.pages.get(path, Page(b"", 404))
        await asyncio.sleep(page.delay_s)
        body = page.body if isinstance(page.body, bytes) else orjson.dumps(page.body)
        return web.Response(status=page.status, body=body, headers=page.headers)


@asynccontextmanager
async def running_context_server(port: int) -> AsyncIterator[ContextServer]:
    """A context server on this port while the block runs."""
    server = ContextServer(port)
    await server.start()
    yield server
    await server.stop()
