"""The body of a request: its length, its media type, its compression, the time it may take (clause 6.3.4)."""

import asyncio
import zlib

from starlette.types import Receive

from broker.api.media import media_type
from broker.errors import HttpRefusal
from broker.settings import Settings
from ngsi.errors import BadRequestData, InvalidRequest
from ngsi.names import show

_GZIP = 31
"""zlib's number for a gzip header and the largest window."""
_MANY_BYTES = 1_000_000
"""From this size on the values in a body are counted before it is parsed."""
_CONTAINERS_COUNT_MAX = 400_000
_VALUES_COUNT_MAX = 2_000_000
"""What a body is made of, at the most: the parser works without a break, up to a tenth of a second for as many."""
_INLINE_BYTES = 65_536
"""Up to this size a body is inflated on the event loop: a thread would take longer than the work."""


async def read_content(
    headers: dict[bytes, bytes], receive: Receive, settings: Settings, *, is_patch: bool = False
) -> bytes:
    """The body, inflated where it is compressed. Raises HttpRefusal 408, 411, 413 or 415, or InvalidRequest."""
    length = headers.get(b"content-length")
    if length is None or b"transfer-encoding" in headers:
        raise HttpRefusal(411, "Length Required", "Send Content-Length")
    if int(length) > settings.body_bytes:
        raise _too_large(settings.body_bytes)
    media_type(headers.get(b"content-type"), is_patch=is_patch)
    encoding = headers.get(b"content-encoding", b"identity").strip().lower().decode("latin-1")
    if encoding not in ("identity", "gzip"):
        detail = f"Content-Encoding {show(encoding)} is none of gzip, identity"
        raise HttpRefusal(415, "Unsupported Media Type", detail, ((b"accept-encoding", b"gzip, identity"),))
    message = await receive()
    content: bytes = message.get("body", b"")
    if message.get("more_body") or message["type"] == "http.disconnect":
        content = await _rest(content, receive, settings.transfer_timeout_s)
    if encoding == "gzip":
        content = await _inflated(content, settings.body_bytes)
    if len(content) > _MANY_BYTES:
        _require_parsable(content)
    return content


def _require_parsable(content: bytes) -> None:
    """Refuses a body of so many values that nobody else would get a turn while it is parsed; texts count a little."""
    containers = content.count(b"{") + content.count(b"[")
    if containers > _CONTAINERS_COUNT_MAX or content.count(b",") > _VALUES_COUNT_MAX:
        raise HttpRefusal(
            413,
            "Content Too Large",
            f"The body has over {_CONTAINERS_COUNT_MAX} objects and arrays, or over {_VALUES_COUNT_MAX} values; "
            "send it in parts",
        )


async def _rest(start: bytes, receive: Receive, within_s: float) -> bytes:
    """The whole body of which the start has come."""
    chunks = [start]
    try:
        async with asyncio.timeout(within_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BadRequestData("The connection ended before the whole body had arrived")
                chunks.append(message.get("body", b""))
                if not message.get("more_body"):
                    return b"".join(chunks)
    except TimeoutError:
        raise HttpRefusal(
            408,
            "Request Timeout",
            f"The body did not arrive within {within_s:.0f} s; send it faster, or in parts",
            ((b"connection", b"close"),),
        ) from None


async def _inflated(content: bytes, limit_bytes: int) -> bytes:
    if len(content) <= _INLINE_BYTES:
        return inflate(content, limit_bytes)
    return await asyncio.to_thread(inflate, content, limit_bytes)


def inflate(content: bytes, limit_bytes: int) -> bytes:
    """What a gzip file of one member holds. HttpRefusal 413 beyond the limit, InvalidRequest if it is none."""
    inflating = zlib.decompressobj(_GZIP)
    try:
        plain = inflating.decompress(content, limit_bytes + 1)
    except zlib.error as exc:
        raise InvalidRequest(f"The body is not gzip, as Content-Encoding says: {exc}") from exc
    if len(plain) > limit_bytes:
        raise _too_large(limit_bytes)
    if not inflating.eof or inflating.unused_data:
        raise InvalidRequest("The body is not one whole gzip file, as Content-Encoding says")
    return plain


def _too_large(limit_bytes: int) -> HttpRefusal:
    return HttpRefusal(413, "Content Too Large", f"The body is over {limit_bytes} bytes; send it in parts")
