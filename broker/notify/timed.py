"""Notifications that go out at certain moments, with what is of interest then: throttling and timeInterval.

They are made from what is stored when they are due, and made anew when an attempt fails. So nothing of them waits in
memory or in the backlog, and what the receiver gets at last is never older than need be.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from broker.errors import StorageUnavailable
from broker.notify.delivery import Delivery
from broker.notify.endpoint import Endpoint
from broker.notify.lane import Lane
from broker.notify.services import Services
from broker.notify.subscriber import Subscriber
from broker.notify.transports.base import Outcome
from broker.storage.mongo_deliveries import Row
from broker.tasks import end
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text
from ngsi.errors import NgsiError

_STORAGE_RETRY_S = 1.0
_BUSY_S = 0.1
_BACKLOG_S = 0.5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Portion:
    """One notification of those that are due. `at` is the system timestamp of the oldest state in it.

    `delivered` is called when it is, `buried` with the reason when it is given up because of its age.
    """

    row: Row
    at: str
    delivered: Callable[[], None]
    buried: Callable[[str], None]


class Source(ABC):
    """Where the notifications of one subscription come from."""

    @abstractmethod
    def due_s(self, subscriber: Subscriber) -> float:
        """The time of the event loop from which there is something to send; infinite if there is nothing."""

    @abstractmethod
    def portions(self, subscriber: Subscriber) -> AsyncGenerator[Portion]:
        """All that is due. Raises StorageUnavailable."""

    @abstractmethod
    def complete(self, subscriber: Subscriber) -> None:
        """All of it has been delivered."""


class TimedLane:
    """Sends what a source has, one notification after the other, when the subscription's lane has nothing to send.

    It shares the lane's endpoint, its health (so throttling counts every attempt) and its subscriber.
    """

    def __init__(self, lane: Lane, source: Source, services: Services) -> None:
        self._lane = lane
        self._source = source
        self._services = services
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._endpoint: Endpoint = lane.endpoint
        self._outcome: asyncio.Future[Outcome] | None = None
        self._is_started = False
        self._is_halted = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, nor will be before `start`."""
        return self._task is None or self._task.done()

    def start(self) -> None:
        """Works from now on, with the lane's subscriber as it is at each moment."""
        self._is_halted = False
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif self._task.cancelling():
            self._task.add_done_callback(self._start_again)
        self.wake()

    def wake(self) -> None:
        """Something may be due now."""
        self._changed.set()

    def halt(self) -> None:
        """Starts nothing more until `start`; an attempt that is under way ends."""
        self._is_halted = True
        if self._task is not None and not self._is_started:
            self._task.cancel()

    async def stop(self) -> None:
        """Breaks off."""
        self._is_halted = True
        if self._task is not None:
            await end([self._task])

    async def attempt(self, delivery: Delivery) -> None:
        """Sends one notification; called by the endpoint when it is its turn."""
        waiting, subscriber = self._outcome, self._lane.subscriber
        assert waiting is not None, "the endpoint was given something to send"
        self._is_started = True
        started_at_s = asyncio.get_running_loop().time()
        try:
            outcome = await self._services.send(subscriber, delivery)
            self._lane.health.note(subscriber, len(delivery.row.entities), started_at_s, outcome)
            if not waiting.done():
                waiting.set_result(outcome)
        finally:
            self._is_started = False
            delivery.is_withdrawn = True
            self._endpoint.dismiss(delivery)
            if not waiting.done():
                waiting.cancel()

    def _start_again(self, _: asyncio.Task[None]) -> None:
        """A `start` came before the former `halt` had its effect."""
        if not self._is_halted:
            self.start()

    async def _run(self) -> None:
        while not self._is_halted:
            await self._until_due()
            try:
                await self._send_all()
            except StorageUnavailable as exc:
                log.warning("states not read", subscription=self._lane.subscriber.id, reason=exc.detail)
                await asyncio.sleep(_STORAGE_RETRY_S)
            except NgsiError as exc:
                log.error("subscription cannot be told", subscription=self._lane.subscriber.id, reason=exc.detail)  # noqa: TRY400
                self._source.complete(self._lane.subscriber)
            except Exception:
                # What cannot be read or shown must not end the subscription without a word.
                log.exception("subscription cannot be told", subscription=self._lane.subscriber.id)
                await asyncio.sleep(_STORAGE_RETRY_S)

    async def _until_due(self) -> None:
        while True:
            self._changed.clear()
            lane = self._lane
            subscriber = lane.subscriber
            waiting_s = self._source.due_s(subscriber) - asyncio.get_running_loop().time()
            waiting_s = max(waiting_s, lane.health.wait_s(subscriber.pace.throttling_s))
            if waiting_s <= 0:
                if lane.is_direct and not lane.is_busy:
                    return
                waiting_s = _BUSY_S if lane.is_direct else _BACKLOG_S
            with suppress(TimeoutError):
                async with asyncio.timeout(None if waiting_s == float("inf") else waiting_s):
                    await self._changed.wait()

    async def _send_all(self) -> None:
        subscriber = self._lane.subscriber
        async with aclosing(self._source.portions(subscriber)) as portions:
            async for portion in portions:
                if self._is_halted:
                    return
                outcome = await self._send(portion.row)
                if not outcome.is_delivered:
                    await self._failed(portion, outcome, subscriber)
                    return
                portion.delivered()
        self._source.complete(subscriber)

    async def _send(self, row: Row) -> Outcome:
        loop = asyncio.get_running_loop()
        delivery = Delivery(row, None, loop.time())
        self._endpoint, self._outcome = self._lane.endpoint, loop.create_future()
        self._endpoint.admit(delivery)
        self._endpoint.start(self, delivery)
        try:
            return await self._outcome
        except asyncio.CancelledError:
            if not self._is_started and not delivery.is_withdrawn:
                delivery.is_withdrawn = True
                self._endpoint.dismiss(delivery)
            raise

    async def _failed(self, portion: Portion, outcome: Outcome, subscriber: Subscriber) -> None:
        policy = self._services.policy
        if policy.is_too_old((datetime.now(UTC) - moment(portion.at)).total_seconds()):
            portion.buried(policy.too_old)
        if outcome.is_gone and await self._lane.health.end(subscriber):
            self._lane.halt()
            self._is_halted = True


def now_text() -> str:
    """The present as a system timestamp."""
    return system_text(datetime.now(UTC))
