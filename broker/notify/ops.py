"""What operators ask of a running notifier: /health, /ready, /metrics."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from broker.supervisor.errors import PortTaken


def make_app(checks: Callable[[], Mapping[str, str | None]]) -> FastAPI:
    """The operations app. `checks` gives, for each thing the notifier needs, why it cannot be used; None if it can."""
    app = FastAPI(title="Medina notifier", redoc_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Answers as long as the process works."""
        return {"status": "up"}

    @app.get("/ready", responses={503: {"description": "Not ready: see checks"}})
    async def ready(response: Response) -> dict[str, object]:
        """Whether changes are followed now."""
        troubles = checks()
        is_ready = not any(troubles.values())
        response.status_code = 200 if is_ready else 503
        return {"ready": is_ready, "checks": {name: trouble or "ok" for name, trouble in troubles.items()}}

    @app.get("/metrics")
    async def metrics() -> Response:
        """The notifier's numbers, for Prometheus."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


class OpsServer(uvicorn.Server):
    """uvicorn without its signal handlers: the notifier has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def make_server(app: FastAPI) -> OpsServer:
    """A server for the app."""
    return OpsServer(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    )


def listen(host: str, port: int) -> socket.socket:
    """The bound port of the operations app; PortTaken says how to choose another."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        raise PortTaken(
            f"The notifier cannot listen on {host}:{port} ({problem.strerror}). Choose another port with "
            "MEDINA_NOTIFIER_PORT or another address with MEDINA_HOST."
        ) from problem
    return listener
