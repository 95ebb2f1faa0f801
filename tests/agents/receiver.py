"""A context broker for tests: a real HTTP server that records batches and answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

Batch = list[dict[str, Any]]
Answer = Callable[[Batch], web.Response | None]
"""What to answer to a batch; None: the usual 204."""


class Receiver:
    """Records what is committed: a batch counts when it is answered 2xx."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Batch] = []
        """Every batch that came in, in order."""
        self.committed: list[dict[str, Any]] = []
        """The entities of the batches answered 2xx, in order; of a 207 those without an error."""
        self.headers: dict[str, str] = {}
        self.query: dict[str, str] = {}
        self.answer: Answer = lambda batch: None
        self.entities: dict[str, dict[str, Any]] = {}
        """What a GET finds, by id."""
        self.deleted: list[str] = []
        """Ids of DELETE requests."""
        self.open = asyncio.Event()
        """Cleared: requests hang without an answer."""
        self.open.set()

    async def upsert(self, request: web.Request) -> web.Response:
        batch: Batch = orjson.loads(await request.read())
        self.headers, self.query = dict(request.headers), dict(request.query)
        self.asked.append(batch)
        await self.open.wait()
        response = self.answer(batch) or web.Response(status=204)
        if response.status < 300:
            refused = response.headers.get("refused", "").split()
            self.committed += [entity for entity in batch if entity["id"] not in refused]
        return response

    async def retrieve(self, request: web.Request) -> web.Response:
        found = self.entities.get(request.match_info["id"])
        return web.Response(status=404) if found is None else web.Response(body=orjson.dumps(found))

    async def delete(self, request: web.Request) -> web.Response:
        self.deleted.append(request.match_info["id"])
        return web.Response(status=204)

    def values(self, attribute: str, entity_id: str | None = None) -> list[Any]:
        """The committed values of an attribute, in order."""
        return [
            entity[attribute]["value"]
            for entity in self.committed
            if attribute in entity and entity_id in (None, entity["id"])
        ]


@asynccontextmanager
async def listening(receiver: Receiver, port: int) -> AsyncIterator[Receiver]:
    """Serve on the port while the block runs."""
    app = web.Application(client_max_size=50_000_000)
    app.router.add_post("/ngsi-ld/v1/entityOperations/upsert", receiver.upsert)
    app.router.add_get("/ngsi-ld/v1/entities/{id}", receiver.retrieve)
    app.router.add_delete("/ngsi-ld/v1/entities/{id}", receiver.delete)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def problem(status: int, title: str = "Refused", **headers: str) -> web.Response:
    """A ProblemDetails answer."""
    body = orjson.dumps({"type": "about:blank", "title": title})
    return web.Response(
        status=status, body=body, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def partly(*entity_ids: str) -> web.Response:
    """A 207 that refuses these entities."""
    errors = [{"entityId": entity_id, "error": {"title": "BadRequestData", "detail": "no"}} for entity_id in entity_ids]
    return web.Response(
        status=207, body=orjson.dumps({"success": [], "errors": errors}), headers={"refused": " ".join(entity_ids)}
    )
