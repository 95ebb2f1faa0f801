"""What operators ask of a running notifier: /health, /ready, /metrics."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def make_app(checks: Callable[[], Mapping[str, str | None]], partitions: Callable[[], list[int]]) -> FastAPI:
    """The operations app. `checks` gives, for each thing the notifier needs, why it cannot be used; None if it can.

    `partitions` gives the numbers of those that this notifier serves.
    """
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
        shown = {name: trouble or "ok" for name, trouble in troubles.items()}
        return {"ready": is_ready, "checks": shown, "partitions": partitions()}

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
