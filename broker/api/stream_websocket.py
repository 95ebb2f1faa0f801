"""Following a subscription by WebSocket (RFC 6455), at the address where HTTP gives Server-Sent Events.

Each text frame is an object with the members event, id and data. A request that cannot be served is accepted and closed
at once, because browsers tell pages nothing of a refused handshake: with 4000 + the HTTP status, and why in words.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import unquote

import structlog
from starlette.types import Receive, Scope, Send

from broker import metrics as requests
from broker.api.cors import Cors
from broker.api.exchange import parse_query
from broker.api.sending import left
from broker.api.streams import PARAMETERS, PATH, followed
from broker.services import Services
from broker.streams import metrics, place
from broker.streams.client import Client
from broker.streams.message import Message
from ngsi.errors import InvalidRequest, NgsiError, ResourceNotFound
from ngsi.names import show

TRANSPORT = "websocket"
OPERATION = "followSubscription"

_DONE, _STOPPING, _AGAIN, _FAILED = 1000, 1012, 1013, 4500
_CLOSE_CODES = {"deleted": _DONE, "expired": _DONE, "changed": _DONE, "stopping": _STOPPING}
_REASON_BYTES_MAX = 123
_SEGMENTS = PATH.strip("/").split("/")

log = structlog.get_logger(__name__)


class StreamWebSocket:
    """The WebSocket side of the API as an ASGI application."""

    def __init__(self, services: Callable[[], Services], cors: Cors) -> None:
        self._services = services
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one WebSocket."""
        headers = dict(scope["headers"])
        await receive()  # websocket.connect
        if not self._cors.allows(headers):
            # A page of an origin that is not allowed: the handshake itself is refused (403).
            await send({"type": "websocket.close", "code": 1008})
            requests.count_request(OPERATION, 403)
            return
        await send({"type": "websocket.accept"})
        serving = asyncio.create_task(self._serve(scope, headers, send))
        leaving = asyncio.create_task(left(receive))
        try:
            await asyncio.wait((serving, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_left = leaving.done() and not serving.done()
            for task in (serving, leaving):
                task.cancel()
            await asyncio.gather(serving, leaving, return_exceptions=True)
        if is_left:
            metrics.ENDED.labels("left").inc()

    async def _serve(self, scope: Scope, headers: dict[bytes, bytes], send: Send) -> None:
        services = self._services()
        try:
            subscription_id, name, resume = _wanted(scope, headers)
            async with services.streams.opened(name, subscription_id, resume, TRANSPORT) as client:
                requests.count_request(OPERATION, 101)
                await _send(client, send, services.settings.transfer_timeout_s)
        except NgsiError as exc:
            requests.count_request(OPERATION, exc.status)
            await _close(send, 4000 + exc.status, exc.detail)
        except TimeoutError:
            metrics.ENDED.labels("stuck").inc()
        except OSError:
            log.debug("websocket went away")  # between two messages: `left` counts it
        except Exception:
            log.exception("websocket failed", path=scope["path"])
            await _close(send, _FAILED, "The broker failed on this stream; see its log")


def _wanted(scope: Scope, headers: dict[bytes, bytes]) -> tuple[str, str, place.Resume | None]:
    """Subscription, tenant and place that a handshake asks for."""
    steps = scope["raw_path"].decode("latin-1").partition("?")[0].strip("/").split("/")
    if len(steps) != len(_SEGMENTS) or any(
        want not in (step, "{subscriptionId}") for want, step in zip(_SEGMENTS, steps, strict=True)
    ):
        raise ResourceNotFound(f"There is no WebSocket at {show(scope['path'])}; there is one at {PATH}")
    parameters = parse_query(scope["query_string"])
    if unknown := parameters.keys() - PARAMETERS:
        raise InvalidRequest(f"Parameter {show(min(unknown))} is not known; there are {', '.join(sorted(PARAMETERS))}")
    identity = unquote(steps[_SEGMENTS.index("{subscriptionId}")])
    subscription_id, name = followed(identity, parameters.get("tenant"), headers.get(b"ngsild-tenant", b""))
    last_id = parameters.get("lastEventId")
    return subscription_id, name, place.parse(last_id) if last_id else None


async def _send(client: Client, send: Send, within_s: float) -> None:
    async for messages in client.messages():
        metrics.MESSAGES.labels(TRANSPORT).inc(sum(message.event == "notification" for message in messages))
        async with asyncio.timeout(within_s):
            for message in messages:
                await send({"type": "websocket.send", "text": message.frame})
        if messages[-1].is_last:
            await _close(send, *_closing(messages[-1]))


def _closing(last: Message) -> tuple[int, str]:
    return _CLOSE_CODES.get(last.reason, _AGAIN), last.reason


async def _close(send: Send, code: int, reason: str) -> None:
    short = reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
    await send({"type": "websocket.close", "code": code, "reason": short})
