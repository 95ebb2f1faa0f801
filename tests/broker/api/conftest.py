"""A context API served by uvicorn on a real MongoDB."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn

from broker.app import create_app
from broker.serve import ApiServer
from broker.settings import Settings
from tests.waiting import until

CAMPUS = "https://medina.example/campus/context.jsonld"


class Api:
    """A client of the context API that returns status, headers and JSON body."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self.address = address

    async def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Sends a JSON body, or bytes as they are; underscores in header names stand for hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, bytes):
            request = self._session.request(method, path, data=io.BytesIO(body), headers=sent)
        else:
            request = self._session.request(method, path, json=body, headers=sent)
        async with request as response:
            content = await response.read()
            is_json = response.content_type.endswith("json")
            names = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
            return response.status, names, await response.json(content_type=None) if content and is_json else content


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Api]:
    """A context API with these settings, on a free port, while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = ApiServer(
        uvicorn.Config(create_app(settings), log_config=None, lifespan="on", timeout_graceful_shutdown=3)
    )
    running = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # While tests that are no coroutines run, nobody here notices that the server ends idle connections after 5 s.
    connector = aiohttp.TCPConnector(keepalive_timeout=2)
    async with aiohttp.ClientSession(f"{address}/ngsi-ld/v1/", connector=connector) as session:
        yield Api(session, address)
    server.should_exit = True
    await running


@pytest.fixture(scope="session")
async def api(mongo: str) -> AsyncIterator[Api]:
    """The context API with a database of its own and the campus @context preloaded."""
    settings = Settings(mongodb_uri=mongo, database="apitest", contexts="pilots/campus/contexts")
    async with serving(settings) as api:
        yield api
