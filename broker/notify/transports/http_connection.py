"""One kept HTTP/1.1 connection (RFC 9112): a request, then its answer, then the next request; never two at a time."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

ANSWER_BYTES_MAX = 64 * 1024
"""Of an answer, interim ones and head included. A longer body is not waited for: the status counts in any case."""

_FIRST_FINAL_STATUS = 200
_UNANSWERED = "the connection was closed before the answer"
_CUT_OFF = "the connection was closed in the middle of the answer"


class Answer(NamedTuple):
    """A final answer without its body: nobody reads it. Names of headers are in lower case."""

    status: int
    reason: str
    headers: dict[bytes, bytes]


class Connection(asyncio.Protocol):
    """See the module. `keep` is called when it is free for the next request, `forget` when it has ended.

    `since_s` is when it became free, by the event loop's clock.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keep: Callable[["Connection"], None],
        forget: Callable[["Connection"], None],
    ) -> None:
        self._loop = loop
        self._keep = keep
        self._forget = forget
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received_bytes = 0
        self._status = 0
        self._reason = b""
        self._headers: dict[bytes, bytes] = {}
        self._is_complete = False
        self._may_stay = True
        self.since_s = 0.0

    async def exchange(self, request: bytes, deadline_s: float) -> Answer:
        """Sends a request and waits for its answer until that time of the event loop's clock.

        TimeoutError if none came; ConnectionResetError if the connection ended before a byte of it, another OSError if
        it ended after one; HttpParserError if it is not HTTP.
        """
        if self._transport.is_closing():
            raise ConnectionResetError(_UNANSWERED)
        self._received_bytes = self._status = 0
        self._is_complete = False
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        self._timer = self._loop.call_at(deadline_s, self._too_late)
        self._transport.write(request)
        try:
            return await waiter
        except asyncio.CancelledError:
            if self._waiter is waiter:  # Otherwise the answer was there already, and others may use the connection.
                self.abort()
            raise

    @property
    def is_open(self) -> bool:
        """Whether it has not begun to end."""
        return not self._transport.is_closing()

    def close(self) -> None:
        """Ends it when what was written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Ends it at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._waiter is None:
            self.abort()  # nothing was asked
            return
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(httptools.HttpParserError("it switches to another protocol"))
        except httptools.HttpParserError as exc:
            self._end_early(exc)
        else:
            if self._is_complete:
                self._finish()
            elif self._received_bytes > ANSWER_BYTES_MAX:
                self._end_early(httptools.HttpParserError(f"no end of its head within {ANSWER_BYTES_MAX} bytes"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._forget(self)
        if self._waiter is not None:
            is_begun = self._received_bytes > 0
            self._end_early(ConnectionAbortedError(_CUT_OFF) if is_begun else ConnectionResetError(_UNANSWERED))

    def on_message_begin(self) -> None:
        """See httptools. An answer behind the awaited one belongs to no request."""
        if self._is_complete:
            self._may_stay = False
        else:
            self._status, self._reason, self._headers = 0, b"", {}

    def on_status(self, reason: bytes) -> None:
        """See httptools."""
        if not self._is_complete:
            self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. What comes after the head is a trailer."""
        if not self._status:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """See httptools. Interim answers (1xx) are passed over."""
        status = self._parser.get_status_code()
        if status >= _FIRST_FINAL_STATUS and not self._is_complete:
            self._status = status

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._status:
            self._is_complete = True
            self._may_stay = self._may_stay and self._parser.should_keep_alive()

    def _too_late(self) -> None:
        self._end_early(TimeoutError())

    def _end_early(self, why: Exception) -> None:
        """No more of the answer will be read. If its head was, that is enough."""
        if self._status:
            self._may_stay = False
            self._finish()
        else:
            self._fail(why)

    def _finish(self) -> None:
        waiter = self._settled()
        # A receiver that answers before it has read all may not read the rest.
        if self._may_stay and not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            self.since_s = self._loop.time()
            self._keep(self)
        else:
            self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_result(Answer(self._status, self._reason.decode("latin-1"), self._headers))

    def _fail(self, why: Exception) -> None:
        waiter = self._settled()
        self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(why)

    def _settled(self) -> asyncio.Future[Answer] | None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiter, self._waiter = self._waiter, None
        return waiter
