"""An HTTP device that is told commands: keeps what it is told, answers what it is told to answer."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web


class Told(NamedTuple):
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpDevice:
    """`statuses` are answered first, one each; then 200."""

    def __init__(self) -> None:
        self.url = ""
        self.told: list[Told] = []
        self.answer = b""
        self.statuses: list[int] = []

    async def hear(self, request: web.Request) -> web.Response:
        """Take a command."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.told.append(Told(request.path, headers, await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, body=self.answer)


@asynccontextmanager
async def http_device(port: int) -> AsyncIterator[HttpDevice]:
    """A device that listens on the port while the block runs."""
    device = HttpDevice()
    app = web.Application()
    app.router.add_post("/bell{rest:.*}", device.hear)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    device.url = f"http://127.0.0.1:{port}/bell"
    try:
        yield device
    finally:
        await runner.cleanup()
