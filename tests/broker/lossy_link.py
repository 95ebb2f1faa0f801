"""A TCP link to MongoDB that loses the answer to a chosen request, after MongoDB has done what it says."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_LENGTH = struct.Struct("<i")


class LossyLink:
    """`lose_answer_to`: what the next request to be left without an answer contains; None: none is.

    `before_loss` is awaited when MongoDB has answered that request, before the client loses its connection.
    """

    lose_answer_to: bytes | None = None
    before_loss: Callable[[], Awaitable[object]] | None = None
    lost_count = 0

    def __init__(self, host: str, port: int) -> None:
        self._peer = (host, port)
        self.uri = ""
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, request by request."""
        peer_reader, peer_writer = await asyncio.open_connection(*self._peer)
        self._writers += [writer, peer_writer]
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await _message(reader)
                peer_writer.write(request)
                answer = await _message(peer_reader)
                if self.lose_answer_to is not None and self.lose_answer_to in request:
                    self.lose_answer_to = None
                    self.lost_count += 1
                    if self.before_loss is not None:
                        await self.before_loss()
                    break
                writer.write(answer)
        for each in (writer, peer_writer):
            each.close()

    async def close(self) -> None:
        """End what is still connected."""
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(_LENGTH.size)
    return head + await reader.readexactly(_LENGTH.unpack(head)[0] - _LENGTH.size)


@asynccontextmanager
async def lossy_link(uri: str) -> AsyncIterator[LossyLink]:
    """A link to the MongoDB of `uri`; its own URI is `link.uri`."""
    parts = urlsplit(uri)
    assert parts.hostname is not None
    link = LossyLink(parts.hostname, parts.port or 27017)
    server = await asyncio.start_server(link.connect, "127.0.0.1", 0)
    # One request has one answer: no monitoring that streams.
    link.uri = (
        f"mongodb://127.0.0.1:{server.sockets[0].getsockname()[1]}/?directConnection=true&serverMonitoringMode=poll"
    )
    try:
        yield link
    finally:
        server.close()
        await link.close()
