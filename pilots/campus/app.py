"""`medina pilot campus`: the page, its notification endpoint, and the follower behind both, in one process."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import orjson
import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from nicegui import ui
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pilots import journal
from pilots.campus import page
from pilots.campus.connection import Connection
from pilots.campus.follower import SUBSCRIPTION_ID, Follower
from pilots.campus.site import CONTEXT_URL
from pilots.campus.state import CampusState
from pilots.campus.view import view
from pilots.context_api import ContextApi
from pilots.errors import BadSettings
from pilots.settings import PilotSettings

MOST_BODY_BYTES: Final = 10_000_000
STOP_WITHIN_S: Final = 2

log = structlog.get_logger()


def run(settings: PilotSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises BadSettings when the port is taken."""
    journal.configure(settings.log_level)
    listener = _listener(settings)
    defects: list[BaseException] = []

    def stop(defect: BaseException) -> None:
        defects.append(defect)
        server.should_exit = True

    app = create_app(settings, stop)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=STOP_WITHIN_S)
    )
    log.info("pilot campus starts", page=f"http://{settings.host}:{settings.pilot_port}", api=settings.api_root)
    # uvicorn stops cleanly at a signal and then raises it again, which would end the process with an error.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])
    if defects:
        raise defects[0]
    log.info("pilot campus stopped")


def create_app(settings: PilotSettings, on_defect: Callable[[BaseException], None]) -> FastAPI:
    """The application: page at `/`, POST /notify for the notifier, /health /ready /metrics for the operator.

    `on_defect` is called if the follower ends by itself: a page without it would go on showing old numbers.
    """
    registry = CollectorRegistry()
    state, connection = CampusState(), Connection(registry)
    _gauge_sizes(state, registry)

    @asynccontextmanager
    async def following(_: FastAPI) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as session:
            api = ContextApi(session, settings.api_root, CONTEXT_URL, settings.tenant)
            follower = Follower(api, state, connection, settings.notification_uri, _now)
            task = asyncio.create_task(follower.run(), name="follower")
            task.add_done_callback(lambda ended: _report_defect(ended, on_defect))
            yield
            task.cancel()
            await asyncio.wait([task])

    app = FastAPI(title="Medina pilot campus", lifespan=following, docs_url=None, redoc_url=None, openapi_url=None)
    _add_routes(app, state, connection, registry)
    page.register(lambda: view(state, connection, _now()))
    ui.run_with(app, title="Campus", tailwind=False, show_welcome_message=False)
    return app


def _add_routes(app: FastAPI, state: CampusState, connection: Connection, registry: CollectorRegistry) -> None:
    @app.post("/notify")
    async def notify(request: Request) -> Response:
        """Take in a notification (5.8.6); answers 2xx also for other subscriptions' so that nobody retries them."""
        body = await _body(request)
        entities = None if body is None else _entities(body)
        if entities is None:
            connection.refused.inc()
            return Response(status_code=400)
        connection.notifications.inc()
        connection.last_notification = _now()
        for entity in entities:
            state.take(entity)
        return Response(status_code=204)

    @app.get("/health")
    async def health() -> Response:
        """200 while the process works."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    @app.get("/ready")
    async def ready() -> Response:
        """200 while the page shows live data, else 503 and why not."""
        checks = connection.checks()
        answer = {"ready": checks.ready, "checks": {"api": checks.api, "subscription": checks.subscription}}
        return Response(orjson.dumps(answer), 200 if checks.ready else 503, media_type="application/json")

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus text."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _body(request: Request) -> bytes | None:
    """The body of a request, None if it is longer than a notification may be."""
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > MOST_BODY_BYTES:
            return None
    return bytes(received)


def _entities(body: bytes) -> list[dict[str, Any]] | None:
    """The entities of a notification of our subscription, [] for another one, None for what is no notification."""
    try:
        notification = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(notification, dict) or not isinstance(notification.get("data"), list):
        return None
    if notification.get("subscriptionId") != SUBSCRIPTION_ID:
        return []
    return [entity for entity in notification["data"] if isinstance(entity, dict)]


def _gauge_sizes(state: CampusState, registry: CollectorRegistry) -> None:
    held = Gauge("medina_pilot_entities_held", "Entities in memory", ["kind"], registry=registry)
    held.labels("zone").set_function(lambda: len(state.zones))
    held.labels("device").set_function(lambda: len(state.devices))
    held.labels("holder").set_function(lambda: len(state.latest))
    held.labels("screening").set_function(lambda: len(state.screenings))
    held.labels("alert").set_function(lambda: len(state.alerts))


def _report_defect(task: asyncio.Task[None], on_defect: Callable[[BaseException], None]) -> None:
    defect = None if task.cancelled() else task.exception()
    if defect is not None:
        on_defect(defect)


def _listener(settings: PilotSettings) -> socket.socket:
    """Bound here, so that a taken port is one clear sentence."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.pilot_port))
    except OSError as error:
        listener.close()
        raise BadSettings(
            f"Port {settings.pilot_port} of {settings.host} cannot be used ({error.strerror}). "
            "Set MEDINA_PILOT_PORT to a free one."
        ) from error
    return listener


def _now() -> datetime:
    return datetime.now(UTC)
