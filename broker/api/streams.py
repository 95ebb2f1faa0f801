"""Following a subscription: /ngsi-ld/ex/v1/subscriptions/{subscriptionId}/stream, beside the standard.

Over HTTP as Server-Sent Events (HTML standard, 9.2); `stream_websocket` serves the same by WebSocket.
"""

import asyncio
from contextlib import AsyncExitStack

from starlette.types import Receive, Send

from broker.api.exchange import Answer, Headers, Request
from broker.api.routing import Operation, Resource
from broker.api.sending import left
from broker.services import Services
from broker.streams import metrics, place
from broker.streams.client import Client
from broker.tenants import tenant_name
from ngsi.errors import BadRequestData
from ngsi.names import require_uri
from ngsi.vocabulary import CONTEXT_REL

PATH = "/ngsi-ld/ex/v1/subscriptions/{subscriptionId}/stream"
PARAMETERS = frozenset({"lastEventId", "tenant"})
TRANSPORT = "sse"

_RETRY_MS = 1000
_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),  # asks nginx to pass each event on at once
)


async def follow_subscription(request: Request) -> Answer:
    """Follow a subscription: what it notifies comes as Server-Sent Events on this connection.

    Any subscription that is not a periodic one can be followed, whether it has an endpoint or, with
    `"uri": "stream:"`, none. Events: `notification` (data: the notification), `gap` (changes may be missing here: the
    log no longer reaches back), `status` (the subscription is paused, or active again), `end` (data: reason, and
    whether it is resumable). Every 15 s of silence bring a comment. Events have an id; who comes back with the last one
    in the header `Last-Event-ID` (as browsers do) or in `lastEventId` is served from there, by any process: no gap.
    The same address speaks WebSocket.
    """
    headers = request.headers
    subscription_id, name = followed(
        request.path[0], request.parameters.get("tenant"), headers.get(b"ngsild-tenant", b"")
    )
    last_id = headers.get(b"last-event-id", b"").decode("latin-1") or request.parameters.get("lastEventId")
    resume = place.parse(last_id) if last_id else None
    streams = request.services.streams
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(streams.opened(name, subscription_id, resume, TRANSPORT))
        return Answer(200, headers=_headers(client), stream=_Sending(client, stack.pop_all(), request.services))
    raise AssertionError("opening a stream swallows no exception")


def followed(subscription_id: str, parameter: str | None, header: bytes) -> tuple[str, str]:
    """The subscription that is to be followed, and its tenant: browsers can set no header, so a parameter names it."""
    name = tenant_name(header)
    if parameter is not None:
        asked = tenant_name(parameter.encode(errors="surrogateescape"))
        if header and asked != name:
            raise BadRequestData("The parameter tenant and the header NGSILD-Tenant name different tenants")
        name = asked
    return require_uri(subscription_id, "Subscription id"), name


def _headers(client: Client) -> Headers:
    if client.link is None:
        return _HEADERS
    return (*_HEADERS, (b"link", f'<{client.link}>; rel="{CONTEXT_REL}"; type="application/ld+json"'.encode()))


class _Sending:
    """Sends a client its events until the stream or the connection ends."""

    def __init__(self, client: Client, stack: AsyncExitStack, services: Services) -> None:
        self._client = client
        self._stack = stack
        self._within_s = services.settings.transfer_timeout_s

    async def __call__(self, receive: Receive, send: Send, headers: Headers, *, is_head: bool) -> None:
        """Serves one connection."""
        async with self._stack:
            await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
            if is_head:
                await send({"type": "http.response.body", "body": b""})
                return
            sending = asyncio.create_task(self._send(send))
            leaving = asyncio.create_task(left(receive))
            tasks = (sending, leaving, asyncio.create_task(self._client.given_up()))
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            if leaving.done() and not leaving.cancelled():
                metrics.ENDED.labels("left").inc()

    async def _send(self, send: Send) -> None:
        opening = b"retry: %d\n" % _RETRY_MS
        try:
            async for messages in self._client.messages():
                body = opening + b"".join([message.sse for message in messages])
                opening = b""
                metrics.MESSAGES.labels(TRANSPORT).inc(sum(message.event == "notification" for message in messages))
                async with asyncio.timeout(self._within_s):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            metrics.ENDED.labels("stuck").inc()


RESOURCES = [
    Resource(
        PATH,
        {
            "GET": Operation(
                "followSubscription",
                "5.8.6",
                follow_subscription,
                parameters=PARAMETERS,
                answers={
                    200: "The events, until the client leaves or the subscription ends",
                    404: "No such subscription, or no such tenant",
                    422: "There is nothing to follow: the subscription has expired, or is a periodic one",
                },
                any_tenant=True,
                offers_events=True,
            )
        },
    )
]
