"""Answers on their way out: in pieces where they are long, compressed where the client takes it.

A long answer is held once, as the bytes to send; a very long one is made while it is sent. It goes out in pieces, each
of which waits until the client has taken the one before; a client that takes none for a while is left.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache

import structlog
from starlette.types import Receive, Send

from broker.api.exchange import Answer
from broker.tasks import end
from ngsi.errors import NgsiError

_GZIP_MIN_BYTES = 2048
_PIECE_BYTES = 65_536
_INLINE_BYTES = 131_072
"""Up to this size an answer is compressed on the event loop: a thread would take longer than the work."""
_GZIP = 31
_GZIP_LEVEL = 1
"""JSON shrinks to an eighth already; higher levels take several times as long for the rest."""

_log = structlog.get_logger()

Headers = tuple[tuple[bytes, bytes], ...]


async def send_answer(
    answer: Answer,
    request: dict[bytes, bytes],
    extra: Headers,
    receive: Receive,
    send: Send,
    within_s: float,
    *,
    is_head: bool,
) -> None:
    """Sends an answer to a request with these headers; to HEAD without its body."""
    content = answer.content
    headers: list[tuple[bytes, bytes]] = [*answer.headers, *extra]
    is_packed = False
    if content:
        headers.append((b"content-type", answer.content_type))
        if answer.size >= _GZIP_MIN_BYTES:
            headers.append((b"vary", b"accept-encoding"))
            if is_packed := takes_gzip(request.get(b"accept-encoding", b"")):
                headers.append((b"content-encoding", b"gzip"))
                if not is_head and answer.rest is None:
                    content = await _deflated(content, answer.size)
    size = sum(map(len, content)) if isinstance(content, list) else len(content)
    if answer.status != 204 and answer.rest is None and not (is_head and is_packed):
        headers.append((b"content-length", str(size).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if is_head:
        await send({"type": "http.response.body", "body": b""})
    elif answer.rest is not None:
        await _send_while_made(_whole(answer, answer.rest), receive, send, within_s, is_packed=is_packed)
    elif isinstance(content, bytes) and size <= _PIECE_BYTES:
        await send({"type": "http.response.body", "body": content})
    else:
        await _send_in_pieces(content if isinstance(content, list) else [content], send, within_s)


async def held(answer: Answer) -> Answer:
    """An answer of which all is there, for clients that know no chunks (HTTP/1.0)."""
    if answer.rest is None:
        return answer
    return answer._replace(content=[chunk async for chunk in _whole(answer, answer.rest)], rest=None)


async def _whole(answer: Answer, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The chunks of an answer, from the first to the last."""
    async with aclosing(rest):
        for chunk in [answer.content] if isinstance(answer.content, bytes) else answer.content:
            yield chunk
        async for chunk in rest:
            yield chunk


async def _send_while_made(
    chunks: AsyncGenerator[bytes], receive: Receive, send: Send, within_s: float, *, is_packed: bool
) -> None:
    """Sends a body of which each part is made when the client has taken the one before, until it goes away."""
    leaving = asyncio.create_task(left(receive))
    try:
        async with aclosing(_packed(chunks) if is_packed else chunks) as made:
            async for chunk in made:
                await _send_pieces(chunk, send, within_s)
                if leaving.done():
                    return
        await _end(send, within_s)
    except TimeoutError:
        _log.info("api.client_left", waited_s=within_s)
    except NgsiError as exc:
        # The server closes a connection whose answer stays incomplete: the client sees that the end is missing.
        _log.warning("api.answer_broken_off", reason=exc.detail)
    finally:
        await end([leaving])


async def left(receive: Receive) -> None:
    """Returns when the client has gone away; what it says is not listened to."""
    while not (await receive())["type"].endswith(".disconnect"):
        pass


async def _packed(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The chunks as one gzip file."""
    deflating = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
    async with aclosing(chunks):
        async for chunk in chunks:
            yield await asyncio.to_thread(deflating.compress, chunk)
    yield deflating.flush()


async def _send_in_pieces(chunks: list[bytes], send: Send, within_s: float) -> None:
    try:
        for chunk in chunks:
            await _send_pieces(chunk, send, within_s)
        await _end(send, within_s)
    except TimeoutError:
        # The server closes a connection whose answer stays incomplete.
        _log.info("api.client_left", waited_s=within_s)


async def _send_pieces(chunk: bytes, send: Send, within_s: float) -> None:
    for start in range(0, len(chunk), _PIECE_BYTES):
        piece = chunk if len(chunk) <= _PIECE_BYTES else chunk[start : start + _PIECE_BYTES]
        async with asyncio.timeout(within_s):
            await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _end(send: Send, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        await send({"type": "http.response.body", "body": b""})


async def _deflated(content: bytes | list[bytes], size: int) -> list[bytes]:
    chunks = content if isinstance(content, list) else [content]
    return deflate(chunks) if size <= _INLINE_BYTES else await asyncio.to_thread(deflate, chunks)


def deflate(chunks: list[bytes]) -> list[bytes]:
    """The chunks as one gzip file, itself in chunks."""
    deflating = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
    made = [deflating.compress(chunk) for chunk in chunks]
    made.append(deflating.flush())
    return [b"".join(made)] if sum(map(len, made)) <= _PIECE_BYTES else [chunk for chunk in made if chunk]


@lru_cache(maxsize=1024)
def takes_gzip(accept_encoding: bytes) -> bool:
    """Whether an Accept-Encoding header (RFC 9110 12.5.3) allows gzip."""
    weights: dict[str, float] = {}
    for item in accept_encoding.decode("latin-1").lower().split(","):
        coding, _, parameter = item.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weights[coding.strip()] = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 1.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0.0
