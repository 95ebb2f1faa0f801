"""Who watches messages pass: each gets them as they are done with. Costs nothing while nobody does."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from agents.message import Message
from agents.reception import Reception

MAX_WAITING_COUNT = 1000
"""Messages that may wait for a slow watcher; beyond that it misses some."""


class Watching:
    """The watchers of one agent."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._queues: set[asyncio.Queue[Message]] = set()

    async def messages(self) -> AsyncIterator[Message]:
        """Give messages from now on, for ever."""
        with self._joined() as queue:
            while True:
                yield await queue.get()

    @contextmanager
    def _joined(self) -> Iterator[asyncio.Queue[Message]]:
        queue: asyncio.Queue[Message] = asyncio.Queue(maxsize=MAX_WAITING_COUNT)
        self._queues.add(queue)
        self._reception.on_outcome = self._tell
        try:
            yield queue
        finally:
            self._queues.discard(queue)
            if not self._queues:
                self._reception.on_outcome = None

    def _tell(self, message: Message) -> None:
        if not message.outcome:
            return  # another slot's
        for queue in self._queues:
            if not queue.full():
                queue.put_nowait(message)
