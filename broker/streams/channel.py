"""What waits for one client: in order, and never more than a bound."""

import asyncio
from collections import deque

from broker.streams.message import Message, end

_OVERHEAD_BYTES = 200


class Channel:
    """Messages between those who make them and the one task that sends them to the client.

    Live messages are not heard before `listen`, and kept apart until `join`, because what catching up brings comes
    before them. Beyond the bound all that waits is dropped and the stream ends: the client comes back with the id of
    the last message that it has got, and is served from the log.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._messages: deque[Message] = deque()
        self._live: list[Message] | None = []
        self._is_listening = False
        self._bytes = 0
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self.is_ended = False

    def listen(self) -> None:
        """From now on live messages are for this client too."""
        self._is_listening = True

    def put(self, message: Message) -> None:
        """A live message."""
        if self.is_ended or not self._is_listening:
            return
        if self._bytes > self._limit_bytes:
            self.finish(end("slow", "Too much waits for this client; come back with the last id", resumable=True))
            return
        self._bytes += _size(message)
        if self._live is None:
            self._messages.append(message)
            self._changed.set()
        else:
            self._live.append(message)

    async def catch_up(self, message: Message) -> None:
        """A message for this client alone, from the log; waits while half of the bound is taken."""
        while self._bytes > self._limit_bytes // 2 and not self.is_ended:
            self._taken.clear()
            await self._taken.wait()
        if not self.is_ended:
            self._bytes += _size(message)
            self._messages.append(message)
            self._changed.set()

    def join(self) -> None:
        """Catching up is done: live messages follow."""
        if self._live is not None:
            self._messages += self._live
            self._live = None
            self._changed.set()

    def tell(self, message: Message) -> None:
        """A message that does not wait for catching up: the next one that the client gets."""
        if not self.is_ended:
            self._messages.append(message)
            self._changed.set()

    def finish(self, message: Message) -> None:
        """Ends the stream with this message, without what waits."""
        if not self.is_ended:
            self.is_ended = True
            self._live = None
            self._bytes = 0
            self._messages.clear()
            self._messages.append(message)
            self._changed.set()
            self._taken.set()

    @property
    def is_drained(self) -> bool:
        """Whether the client has been given everything up to the present of the live feed."""
        return self._live is None and not self._messages

    async def take(self, within_s: float) -> list[Message]:
        """All that waits; nothing if nothing comes in time."""
        if not self._messages:
            self._changed.clear()
            try:
                async with asyncio.timeout(within_s):
                    await self._changed.wait()
            except TimeoutError:
                return []
        taken = list(self._messages)
        self._messages.clear()
        self._bytes -= sum(map(_size, taken))
        self._taken.set()
        return taken


def _size(message: Message) -> int:
    """What a message counts in the bound; the few that are no notifications are free."""
    return len(message.data) + _OVERHEAD_BYTES if message.event == "notification" else 0
