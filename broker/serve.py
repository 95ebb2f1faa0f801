"""The two roles of this package as processes: the context API under uvicorn, and the notifier.

Both check their MongoDB first, so that a wrong password or a server that is no replica set ends them with a message and
not with a process that never becomes ready.
"""

import asyncio
import gc
import logging
import signal
import socket
from typing import Final

import structlog
import uvicorn
import uvloop

from broker import logs
from broker.listening import listen
from broker.settings import Settings
from broker.storage.mongo_replica import check_replica_set
from broker.supervisor.errors import StartError

log = structlog.get_logger()

MONGO_WITHIN_S: Final = 15.0
FINISH_REQUESTS_WITHIN_S: Final = 3
KEEP_IDLE_S: Final = 75
"""Longer than proxies (nginx: 60) and clients (aiohttp: 15) keep an idle connection: who closes second never sends a
write into a connection that is just being closed, which it could not repeat safely."""
WEBSOCKET_MESSAGE_BYTES: Final = 65_536
"""Of what clients say in WebSockets, which nobody listens to."""


class ApiServer(uvicorn.Server):
    """uvicorn that ends the streams before it waits for its connections, which otherwise have no end."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve, and says so: a log without a line leaves operators in doubt."""
        await super().startup(sockets)
        if self.started:
            places = [one.getsockname() for one in sockets or ()]
            log.info("context API ready", addresses=[f"{place[0]}:{place[1]}" for place in places])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops serving."""
        await self.config.app.end_streams()  # type: ignore[union-attr]  # a ContextApi, not the name of one
        await super().shutdown(sockets)
        log.info("context API stopped")


def serve_context_api() -> None:
    """Serve `broker.app:create_app()` until SIGTERM or SIGINT; raises StartError."""
    from broker.app import create_app

    settings = Settings()
    logs.configure(settings.log_level)
    if settings.log_level == "debug":
        _show_requests()
    check_replica_set(settings.mongodb_uri, MONGO_WITHIN_S)
    server = ApiServer(
        uvicorn.Config(
            create_app(),
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=WEBSOCKET_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            access_log=settings.log_level == "debug",
            server_header=False,
            proxy_headers=False,
            log_config=None,
            timeout_keep_alive=KEEP_IDLE_S,
            timeout_graceful_shutdown=FINISH_REQUESTS_WITHIN_S,
        )
    )
    listener = listen(settings.host, settings.port, "context API", "MEDINA_PORT")
    # After a clean shutdown uvicorn raises the signal again; this process has done what it asked for.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    calm_collector()
    server.run(sockets=[listener])
    if not server.started:
        raise StartError("The context API could not start; the reason is in the lines above.")


def _show_requests() -> None:
    requests = logging.getLogger("uvicorn.access")
    requests.setLevel(logging.INFO)
    requests.addHandler(logs.RequestLines())


def calm_collector() -> None:
    """Makes Python's cycle collector look at young objects more rarely, and never again at those there now.

    A request makes some thousand objects and hardly a cycle; looking through them every 700 allocations took a tenth of
    the time of a write and made its slowest ones slower (docs/benchmarks.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def run_notifier() -> None:
    """Run `broker.notify.service:run()` until SIGTERM or SIGINT; raises StartError."""
    from broker.notify.service import run

    settings = Settings()
    logs.configure(settings.log_level)
    check_replica_set(settings.mongodb_uri, MONGO_WITHIN_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        calm_collector()
        runner.run(run())
