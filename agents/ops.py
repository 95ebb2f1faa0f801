"""What operators and integrators ask of a running agent: /health, /ready, /metrics."""

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette

from agents.errors import ConfigurationError

Checks = Callable[[], Awaitable[dict[str, str | None]]]
"""Gives, for each thing the agent depends on, why it cannot be used; None if it can."""


def add_operations(app: FastAPI, checks: Checks, registry: CollectorRegistry) -> None:
    """Add the operators' routes to the app."""

    @app.get("/health", tags=["operation"])
    async def health() -> Response:
        """200 while the process works."""
        return _json({"status": "ok"})

    @app.get("/ready", tags=["operation"])
    async def ready() -> Response:
        """200 when measures get through, else 503; `checks` says why not."""
        troubles = await checks()
        is_ready = not any(troubles.values())
        named = {name: trouble or "ok" for name, trouble in troubles.items()}
        return _json({"ready": is_ready, "checks": named}, 200 if is_ready else 503)

    @app.get("/metrics", tags=["operation"])
    async def metrics(request: Request) -> Response:
        """Prometheus text format, or OpenMetrics for who accepts `application/openmetrics-text`."""
        encoded, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encoded(registry), media_type=content_type)


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: signals are the agent's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def make_server(app: FastAPI | Starlette) -> Server:
    """Return a server for the app."""
    return Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1))


def listen(host: str, port: int, variable: str) -> socket.socket:
    """Bind a port; `ConfigurationError` says which is taken and how to change it: by the setting `variable`."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Cannot listen on {host}:{port} ({error.strerror}); set {variable} or MEDINA_HOST to another"
        ) from error
    return listener


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
