"""The context API as an ASGI application: NGSI-LD, health, metrics and the OpenAPI page."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import Receive, Scope, Send

from broker.api import (
    attributes,
    batch,
    consumption,
    contexts,
    deliveries,
    discovery,
    entities,
    entity_maps,
    explain,
    identity,
    later,
    purge,
    streams,
    subscriptions,
    tenancy,
)
from broker.api.body_budget import BodyBudget
from broker.api.cors import Cors
from broker.api.docs_page import add_docs_page
from broker.api.openapi import openapi
from broker.api.openapi_families import INTRODUCTION
from broker.api.routing import NgsiLdApi, merged
from broker.api.stream_websocket import StreamWebSocket
from broker.clock import system_now
from broker.context_fetch import web_of_contexts
from broker.context_reaper import ContextReaper
from broker.context_supply import ContextSupply, SuppliedContexts
from broker.contexts import Contexts
from broker.errors import StorageError
from broker.preloaded_contexts import preloaded
from broker.reaper import Reaper
from broker.services import Services
from broker.settings import Settings
from broker.storage.mongo import MongoStorage
from broker.storage.mongo_log import MongoLogs
from broker.streams.streams import Streams
from broker.tenants import Tenants
from ngsi.errors import ResourceNotFound
from ngsi.names import show

RESOURCES = merged(
    resource
    for family in (
        consumption,
        discovery,
        entities,
        attributes,
        batch,
        purge,
        subscriptions,
        deliveries,
        explain,
        streams,
        contexts,
        identity,
        entity_maps,
        later,
        tenancy,
    )
    for resource in family.RESOURCES
)


class ContextApi(FastAPI):
    """FastAPI for the operator's pages; requests of NGSI-LD go past its middleware, which they have no use for.

    That saves an eighth of the time of an attribute update (docs/benchmarks.md).
    """

    ngsi_ld: NgsiLdApi
    stream_websocket: StreamWebSocket
    end_streams: Callable[[], Awaitable[None]]
    """Ends all streams; to be called when the server begins to stop, because it waits for them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection of the server."""
        if scope["type"] == "http" and scope["path"].startswith("/ngsi-ld/"):
            await self.ngsi_ld(scope, receive, send)
        elif scope["type"] == "websocket":
            await self.stream_websocket(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings | None = None) -> ContextApi:
    """The application; its parts are made when the server starts it. SettingsError if a setting cannot work."""
    settings = settings or Settings()
    contexts = Contexts(preloaded(settings.contexts))
    services: Services | None = None

    def running() -> Services:
        assert services is not None, "the server answers requests only after start-up"
        return services

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        nonlocal services
        storage = MongoStorage(
            settings.mongodb_uri,
            settings.database,
            timeout_s=settings.mongodb_timeout_s,
            query_timeout_s=settings.query_timeout_s,
        )
        tenants = Tenants(storage, settings, system_now)
        supply = ContextSupply(contexts, storage.contexts(), web_of_contexts(settings), system_now)
        bodies = BodyBudget(settings.bodies_bytes)
        followers = Streams(
            MongoLogs(settings.mongodb_uri, settings.database, settings.mongodb_timeout_s),
            tenants,
            SuppliedContexts(contexts, supply),
            system_now,
            count=settings.stream_count,
            channel_bytes=settings.stream_bytes,
            start_within_s=settings.mongodb_timeout_s,
        )
        services = Services(settings, storage, tenants, contexts, supply, bodies, followers, system_now)
        reapers = Reaper(storage, tenants, system_now), ContextReaper(storage, system_now)
        async with supply.tended(), reapers[0].working(), reapers[1].working():
            yield
        await followers.close()
        await tenants.close()
        await storage.close()

    app = ContextApi(
        title="Medina context API",
        description=INTRODUCTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    cors = Cors(settings.cors_origins)
    app.ngsi_ld = NgsiLdApi(RESOURCES, running, cors)
    app.stream_websocket = StreamWebSocket(running, cors)
    app.end_streams = lambda: running().streams.end()
    add_docs_page(app)
    app.openapi = lambda: openapi(app, RESOURCES)  # type: ignore[method-assign]  # FastAPI's way to replace its document

    _add_operators_pages(app, running)
    return app


def _add_operators_pages(app: FastAPI, running: Callable[[], Services]) -> None:
    @app.exception_handler(404)
    async def nothing_there(request: Request, _: Exception) -> Response:
        error = ResourceNotFound(
            f"There is nothing at {show(request.url.path)}; the paths of NGSI-LD begin with /ngsi-ld/v1, see /docs"
        )
        return Response(orjson.dumps(error.problem()), 404, media_type="application/json")

    @app.get("/health", tags=["operation"])
    async def health() -> dict[str, str]:
        """Answers as long as the process works."""
        return {"status": "up"}

    @app.get("/ready", tags=["operation"], responses={503: {"description": "Not ready: see checks"}})
    async def ready(response: Response) -> dict[str, object]:
        """Whether requests can be served now, and what each thing they need says."""
        try:
            await running().storage.ping()
            await running().tenants.get("", create=True)
        except StorageError as exc:
            response.status_code = 503
            return {"ready": False, "checks": {"mongodb": exc.detail}}
        return {"ready": True, "checks": {"mongodb": "ok"}}

    @app.get("/metrics", tags=["operation"], response_class=Response)
    async def metrics() -> Response:
        """Prometheus metrics of this process."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
