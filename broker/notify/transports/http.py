"""Notifications over HTTP and HTTPS (clause 5.8.6): any 2xx answer is success, redirects are not followed."""

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from broker.notify.transports.base import Destination, Outcome, Transport

_KEEP_IDLE_S = 30.0
_DNS_CACHE_S = 30
_COME_BACK_LATER = frozenset({408, 425, 429})
_GONE = 410
_TAKEN = {status: Outcome(code=status) for status in range(200, 300)}
_ANSWER_BYTES_MAX = 64 * 1024
# A kept connection may be closed by the receiver just when it is used again; then one attempt on a new one is fair.
_STALE_CONNECTION = (aiohttp.ServerDisconnectedError, ConnectionResetError, aiohttp.ClientOSError)


class HttpTransport(Transport):
    """POST over kept connections, one session for all receivers. To be made inside the event loop."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=_DNS_CACHE_S, keepalive_timeout=_KEEP_IDLE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding",),
        )

    async def send(self, destination: Destination, body: bytes) -> Outcome:
        """See Transport."""
        try:
            try:
                return await self._post(destination, body)
            except aiohttp.ClientConnectorError:
                raise
            except _STALE_CONNECTION:
                return await self._post(destination, body)
        except TimeoutError:
            return Outcome(f"no answer within {destination.timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            return Outcome(f"{type(exc).__name__}: {exc}"[:300])

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
                f"answer {response.status} {response.reason or ''}".rstrip(),
                _retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC)),
                400 <= response.status < 500 and response.status not in _COME_BACK_LATER,
                response.status == _GONE,
                response.status,
            )


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
