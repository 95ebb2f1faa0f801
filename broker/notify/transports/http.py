"""Notifications over HTTP and HTTPS (clause 5.8.6): any 2xx answer is success.

Redirects are not followed: they could lead anywhere, and a POST that becomes a GET on the way would look delivered. The
failure says where the receiver pointed to.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from broker.notify.transports.base import Destination, Outcome, Transport
from broker.notify.transports.outside import Outside
from ngsi.endpoint_uri import shown_address

_KEEP_IDLE_S = 30.0
_DNS_CACHE_S = 30
_COME_BACK_LATER = frozenset({408, 425, 429})
_GONE = 410
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_TOLD_MAX = 300
_TAKEN = {status: Outcome(code=status) for status in range(200, 300)}
_ANSWER_BYTES_MAX = 64 * 1024
# A kept connection may be closed by the receiver just when it is used again; then one attempt on a new one is fair.
_STALE_CONNECTION = (aiohttp.ServerDisconnectedError, ConnectionResetError, aiohttp.ClientOSError)


class HttpTransport(Transport):
    """POST over kept connections, one session for all receivers. To be made inside the event loop."""

    def __init__(self, outside: Outside) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ttl_dns_cache=_DNS_CACHE_S,
                keepalive_timeout=_KEEP_IDLE_S,
                resolver=outside.resolver,
                socket_factory=outside.resolver.socket_for,
                ssl=outside.tls,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding",),
        )

    async def send(self, destination: Destination, body: bytes) -> Outcome:
        """See Transport."""
        deadline_s = asyncio.get_running_loop().time() + destination.timeout_s
        try:
            try:
                return await self._post(destination, body)
            except aiohttp.ClientConnectorError:
                raise
            except _STALE_CONNECTION:
                async with asyncio.timeout_at(deadline_s):
                    return await self._post(destination, body)
        except TimeoutError:
            return Outcome(f"no answer within {destination.timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            return Outcome(_told(exc)[:_TOLD_MAX])

    async def close(self) -> None:
        """See Transport."""
        await self._session.close()

    async def _post(self, destination: Destination, body: bytes) -> Outcome:
        if destination.prepared is None:
            destination.prepared = (
                URL(destination.uri),
                CIMultiDict(destination.headers),
                aiohttp.ClientTimeout(total=destination.timeout_s),
            )
        url, headers, timeout = destination.prepared
        async with self._session.post(
            url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            if response.content_length != 0 and response.status != 204:
                await _read_out(response)
            if 200 <= response.status < 300:
                return _TAKEN[response.status]
            return Outcome(
                _answer(response)[:_TOLD_MAX],
                _retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC)),
                400 <= response.status < 500 and response.status not in _COME_BACK_LATER,
                response.status == _GONE,
                response.status,
            )


def _answer(response: aiohttp.ClientResponse) -> str:
    told = f"answer {response.status} {response.reason or ''}".rstrip()
    if response.status in _REDIRECT and (onward := response.headers.get("Location")):
        # Where it points to is the receiver's own text, in which tokens are not unusual.
        return f"{told}: redirected to {shown_address(onward)}; redirects are not followed, give that as the endpoint"
    return told


def _told(exc: Exception) -> str:
    """What went wrong, without the URI: it may have a password."""
    match exc:
        case aiohttp.ClientConnectorCertificateError():
            return f"certificate of {exc.host}:{exc.port} refused: {exc.certificate_error}"
        case aiohttp.ClientConnectorError():
            return f"no connection to {exc.host}:{exc.port}: {exc.os_error.strerror or exc.os_error}"
        case aiohttp.ClientResponseError():
            return f"the answer is not HTTP: {exc.message}"
        case ValueError():
            return "the endpoint's URI or a header of receiverInfo cannot be used for HTTP"
    return f"{type(exc).__name__}: {exc}"


async def _read_out(response: aiohttp.ClientResponse) -> None:
    """Reads the rest of the answer, so that the connection can be used again; the status counts, whatever follows."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        read_bytes = 0
        while chunk := await response.content.readany():
            read_bytes += len(chunk)
            if read_bytes > _ANSWER_BYTES_MAX:
                response.close()
                return


def _retry_after_s(text: str | None, now: datetime) -> float:
    """The waiting that a Retry-After header asks for (RFC 9110 section 10.2.3), 0 for none or nonsense."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
