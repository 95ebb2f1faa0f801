"""One receiver's address: its own bounded queue and its own workers, so that it delays nobody but itself."""

import asyncio
from collections import deque
from typing import Protocol

from broker.notify.delivery import Delivery
from broker.notify.lease import Lease
from broker.tasks import end


class Sender(Protocol):
    """Whose notifications an endpoint sends: a lane."""

    async def attempt(self, delivery: Delivery) -> None:
        """Sends one notification and deals with the outcome."""


class Endpoint:
    """Starts what is ready, first come first served, up to `in_flight_count` at the same time.

    What comes from the backlog and what does not take turns, so that neither waits for all of the other.
    `queue_count` and `queue_bytes` bound what may wait here; the lanes ask `has_room` first. Workers are tasks that end
    when nothing is ready. Nothing starts while the lease of this process may have run out.
    """

    def __init__(self, uri: str, *, in_flight_count: int, queue_count: int, queue_bytes: int, lease: Lease) -> None:
        self.uri = uri
        self._lease = lease
        self._in_flight_count = in_flight_count
        self._queue_count = queue_count
        self._queue_bytes = queue_bytes
        self._fresh: deque[tuple[Sender, Delivery]] = deque()
        self._stored: deque[tuple[Sender, Delivery]] = deque()
        self._is_turn_of_stored = False
        self._workers: set[asyncio.Task[None]] = set()
        self.waiting_count = 0
        self.waiting_bytes = 0
        self.finished_count = 0
        self.used_at_s = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self.waiting_count and not self._workers

    @property
    def is_crowded(self) -> bool:
        """Whether more than half of what may wait here does."""
        return 2 * self.waiting_count > self._queue_count or 2 * self.waiting_bytes > self._queue_bytes

    def has_room(self, size_bytes: int) -> bool:
        """Whether one more notification of this size may wait here."""
        return self.waiting_count < self._queue_count and (
            self.waiting_bytes + size_bytes <= self._queue_bytes or not self.waiting_count
        )

    def admit(self, delivery: Delivery) -> None:
        """A notification waits here from now on, whether it may start or not."""
        self.used_at_s = delivery.queued_at_s
        self.waiting_count += 1
        self.waiting_bytes += len(delivery.row.body)

    def dismiss(self, delivery: Delivery) -> None:
        """A notification is finished or goes elsewhere."""
        self.waiting_count -= 1
        self.waiting_bytes -= len(delivery.row.body)

    def start(self, sender: Sender, delivery: Delivery) -> None:
        """A notification that waits here may start."""
        (self._stored if delivery.is_stored else self._fresh).append((sender, delivery))
        if len(self._workers) < self._in_flight_count:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def stop(self) -> None:
        """Breaks off what is under way."""
        await end(self._workers)

    async def _work(self) -> None:
        while self._fresh or self._stored:
            if not self._lease.is_sure:
                await self._lease.sure()
                continue
            sender, delivery = self._next()
            if not delivery.is_withdrawn:
                await sender.attempt(delivery)
                self.finished_count += 1

    def _next(self) -> tuple[Sender, Delivery]:
        self._is_turn_of_stored = bool(self._stored) and not (self._is_turn_of_stored and self._fresh)
        return (self._stored if self._is_turn_of_stored else self._fresh).popleft()
