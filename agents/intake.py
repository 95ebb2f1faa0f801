"""Messages on their way through the agent: converted as they come, committed in batches, acknowledged in order.

One batch is under way at a time, and the next gathers meanwhile: an idle agent passes a message on at once, a busy one
in large batches, and nothing overtakes. A refused message keeps its place in the queue without fragments, so that
acknowledgements leave in the order of arrival.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from agents.conversion import Converter
from agents.errors import MeasureError, UnknownTopic
from agents.mapping import Fragment
from agents.metrics import Metrics
from agents.mqtt import Receipt, Southbound
from agents.northbound import Northbound, Refusal
from agents.profile import Profile
from agents.rejections import Rejections
from agents.routing import Router

log = structlog.get_logger(__name__)

MAX_WAITING_BYTES = 64_000_000


@dataclass(slots=True)
class Message:
    """A message that has been received and is not yet acknowledged."""

    topic: str
    payload: bytes
    received_at: datetime
    receipt: Receipt
    fragments: Sequence[Fragment]


class Intake:
    """The queue between the MQTT session and the context broker."""

    def __init__(
        self,
        converter: Converter,
        router: Router,
        southbound: Southbound,
        northbound: Northbound,
        rejections: Rejections,
        metrics: Metrics,
        *,
        batch_count: int,
        waiting_count: int,
    ) -> None:
        self._converter = converter
        self._router = router
        self._southbound = southbound
        self._northbound = northbound
        self._rejections = rejections
        self._metrics = metrics
        self._batch_count = batch_count
        self._waiting_count = waiting_count
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._stopping = False
        self._wake = asyncio.Event()
        metrics.waiting.set_function(self.__len__)

    def __len__(self) -> int:
        return len(self._waiting)

    def receive(self, topic: str, payload: bytes, received_at: datetime, receipt: Receipt) -> None:
        """Take a message from the MQTT session. Never raises."""
        fragments: Sequence[Fragment] = ()
        try:
            fragments = self._converter.convert(topic, payload, received_at)
        except MeasureError as error:
            self._reject(error, topic, payload, received_at)
        self._waiting.append(Message(topic, payload, received_at, receipt, fragments))
        self._waiting_bytes += len(payload)
        if len(self._waiting) >= self._waiting_count or self._waiting_bytes >= MAX_WAITING_BYTES:
            self._paused = True
            self._southbound.pause()
        self._wake.set()

    def await_redelivery(self) -> None:
        """Let go of what waits: the resumed session delivers it again, and twice would only be work."""
        self._metrics.dropped.inc(len(self._waiting))
        self._waiting.clear()
        self._waiting_bytes = 0
        self._paused = False  # a new connection starts reading

    async def run(self) -> None:
        """Commit and acknowledge until `stop`; then return when the batch under way is done."""
        while not self._stopping:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._pass_on(self._next_batch())

    def stop(self) -> None:
        """Take no further batch. What waits is not acknowledged, so the session keeps it."""
        self._stopping = True
        self._southbound.pause()
        self._wake.set()

    def _next_batch(self) -> list[Message]:
        """Take whole messages until their fragments fill a batch."""
        batch: list[Message] = []
        count = 0
        while self._waiting and count < self._batch_count and len(batch) < self._waiting_count:
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message.payload)
            count += len(message.fragments)
            batch.append(message)
        if self._paused and len(self._waiting) <= self._waiting_count // 2 and not self._stopping:
            self._paused = False
            self._southbound.resume()
        return batch

    async def _pass_on(self, batch: list[Message]) -> None:
        fragments = [fragment for message in batch for fragment in message.fragments]
        refusals = await self._northbound.commit(fragments) if fragments else []
        if refusals:
            self._reject_refused(batch, refusals)
        self._southbound.acknowledge([message.receipt for message in batch])
        self._count(batch)

    def _reject_refused(self, batch: list[Message], refusals: list[Refusal]) -> None:
        errors = {id(fragment): error for fragment, error in refusals}
        for message in batch:
            mine = (errors[id(fragment)] for fragment in message.fragments if id(fragment) in errors)
            if (error := next(mine, None)) is not None:
                self._reject(error, message.topic, message.payload, message.received_at)

    def _reject(self, error: MeasureError, topic: str, payload: bytes, at: datetime) -> None:
        self._rejections.add(error, topic, payload, self._profile(topic), at)

    def _profile(self, topic: str) -> Profile | None:
        try:
            return self._router.route(topic).profile
        except UnknownTopic:
            return None

    def _count(self, batch: list[Message]) -> None:
        self._metrics.messages.inc(len(batch))
        for verdict, count in self._converter.clocks.items():
            self._metrics.clocks.labels(verdict).inc(count)
        self._converter.clocks.clear()
