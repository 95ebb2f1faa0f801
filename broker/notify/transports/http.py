"""Notifications over HTTP and HTTPS (clause 5.8.6): any 2xx answer is success.

Redirects are not followed: they could lead anywhere, and a POST that becomes a GET on the way would look delivered. The
failure says where the receiver pointed to.
"""

import asyncio
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httptools

from broker.notify.transports.base import Destination, Outcome, Transport
from broker.notify.transports.http_connection import Answer
from broker.notify.transports.http_pool import Origin, Pool
from broker.notify.transports.http_request import Prepared, prepared
from broker.notify.transports.outside import Outside
from ngsi.endpoint_uri import shown_address

_COME_BACK_LATER = frozenset({408, 425, 429})
_GONE = 410
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_TOLD_MAX = 300
_TAKEN = {status: Outcome(code=status) for status in range(200, 300)}


class HttpTransport(Transport):
    """POST over kept connections, one pool for all receivers. To be made inside the event loop."""

    def __init__(self, outside: Outside) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(outside)

    async def send(self, destination: Destination, body: bytes) -> Outcome:
        """See Transport."""
        deadline_s = self._loop.time() + destination.timeout_s
        if destination.prepared is None:
            try:
                destination.prepared = prepared(destination, self._pool)
            except ValueError:
                return Outcome("the endpoint's URI or a header of receiverInfo cannot be used for HTTP")
        ready: Prepared = destination.prepared
        try:
            answer = await self._pool.exchange(ready.origin, ready.request(body), deadline_s)
        except TimeoutError:
            return Outcome(f"no answer within {destination.timeout_s:g} s")
        except (OSError, ValueError, httptools.HttpParserError) as exc:
            return Outcome(_told(exc, ready.origin)[:_TOLD_MAX])
        return _TAKEN.get(answer.status) or _refused(answer)

    async def close(self) -> None:
        """See Transport."""
        await self._pool.close()


def _refused(answer: Answer) -> Outcome:
    return Outcome(
        _shown(answer)[:_TOLD_MAX],
        _retry_after_s(_header(answer, b"retry-after"), datetime.now(UTC)),
        400 <= answer.status < 500 and answer.status not in _COME_BACK_LATER,
        answer.status == _GONE,
        answer.status,
    )


def _shown(answer: Answer) -> str:
    told = f"answer {answer.status} {answer.reason}".rstrip()
    if answer.status in _REDIRECT and (onward := _header(answer, b"location")):
        # Where it points to is the receiver's own text, in which tokens are not unusual.
        return f"{told}: redirected to {shown_address(onward)}; redirects are not followed, give that as the endpoint"
    return told


def _header(answer: Answer, name: bytes) -> str | None:
    value = answer.headers.get(name)
    return None if value is None else value.decode("utf-8", "replace")


def _told(exc: Exception, origin: Origin) -> str:
    """What went wrong, without the URI: it may have a password."""
    address = f"{origin.host}:{origin.port}"
    match exc:
        case ssl.SSLCertVerificationError():
            return f"certificate of {address} refused: {exc.verify_message}"
        case httptools.HttpParserError():
            return f"the answer is not HTTP: {exc}"
        case ConnectionResetError() | ConnectionAbortedError():
            return f"{address}: {exc}"
        case OSError():
            return f"no connection to {address}: {exc.strerror or exc}"
    return f"no connection to {address}: {exc}"


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
