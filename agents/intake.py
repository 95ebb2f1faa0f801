"""Messages on their way through the agent: converted as they come, committed in batches, acknowledged in order.

MQTT and HTTP share one queue, so nothing overtakes, whichever way it came. One batch is under way at a time, and the
next gathers meanwhile: an idle agent passes a message on at once, a busy one in large batches. A refused message keeps
its place in the queue without fragments, so that acknowledgements leave in the order of arrival.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from agents.commands.base import Commands
from agents.conversion import Converted, Converter, Report
from agents.errors import MeasureError, NotTaken, UnknownDevice, UnknownTopic
from agents.fragment import Fragment
from agents.measure import TopicParts
from agents.metrics import Metrics
from agents.mqtt import Receipt, Southbound
from agents.northbound import Northbound, Refusal
from agents.profile import Profile
from agents.provisioning.directory import Directory
from agents.rejections import Rejections
from agents.routing import Router

log = structlog.get_logger(__name__)

MAX_WAITING_BYTES = 64_000_000


@dataclass(slots=True)
class Message:
    """A message that has been received and is not yet acknowledged: to the MQTT broker, or to an HTTP caller."""

    topic: str
    payload: bytes
    received_at: datetime
    receipt: Receipt | None
    done: "asyncio.Future[MeasureError | None] | None" = None
    """Of the HTTP caller: None when all is committed, else what was wrong."""
    fragments: Sequence[Fragment] = ()
    reports: Sequence[Report] = ()
    unknown: UnknownDevice | None = None
    """The device was unknown at the reception: another agent may have provisioned it a moment ago."""
    error: MeasureError | None = None

    def take(self, converted: Converted) -> None:
        """Enter what it has become."""
        self.fragments, self.reports = converted


class Intake:
    """The queue between the devices and the context broker."""

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
        commands: Commands,
        directory: Directory | None = None,
    ) -> None:
        self._converter = converter
        self._router = router
        self._southbound = southbound
        self._northbound = northbound
        self._rejections = rejections
        self._metrics = metrics
        self._batch_count = batch_count
        self._waiting_count = waiting_count
        self._commands = commands
        self._directory = directory
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
        message = Message(topic, payload, received_at, receipt)
        try:
            message.take(self._converter.convert(topic, payload, received_at))
        except UnknownDevice as error:
            self._doubt(message, error)
        except MeasureError as error:
            self._reject(message, error)
        self._enter(message)

    async def submit(
        self,
        origin: str,
        profile: Profile,
        parts: TopicParts,
        payload: bytes,
        received_at: datetime,
        resource: str = "",
        stated_at: datetime | None = None,
    ) -> None:
        """Take a message from an HTTP caller; returns when everything of it is committed.

        `MeasureError` when it is refused, `NotTaken` when too much waits or the agent stops: then it may come again.
        `origin` stands for the topic where the message is shown.
        """
        if self._paused or self._stopping:
            raise NotTaken("too many messages wait for the context broker")
        message = Message(origin, payload, received_at, None, asyncio.get_running_loop().create_future())
        try:
            message.take(await self._converted(profile, parts, payload, received_at, resource, stated_at))
        except MeasureError as error:
            self._rejections.add(error, origin, payload, profile, received_at)
            raise
        self._enter(message)
        assert message.done is not None
        if (refused := await message.done) is not None:
            raise refused

    async def _converted(
        self,
        profile: Profile,
        parts: TopicParts,
        payload: bytes,
        received_at: datetime,
        resource: str,
        stated_at: datetime | None,
    ) -> Converted:
        for_us = (profile, parts, payload, received_at, resource, stated_at)
        try:
            return self._converter.convert_as(*for_us)
        except UnknownDevice as error:
            if self._directory is None or not await self._directory.look_up([error.key]):
                raise
        return self._converter.convert_as(*for_us)

    def _doubt(self, message: Message, error: UnknownDevice) -> None:
        if self._directory is None:
            self._reject(message, error)
        else:
            message.unknown = error

    def _enter(self, message: Message) -> None:
        self._waiting.append(message)
        self._waiting_bytes += len(message.payload)
        if len(self._waiting) >= self._waiting_count or self._waiting_bytes >= MAX_WAITING_BYTES:
            self._paused = True
            self._southbound.pause()
        self._wake.set()

    def await_redelivery(self) -> None:
        """Let go of what waits: the resumed session delivers it again, and twice would only be work."""
        kept = [message for message in self._waiting if message.receipt is None]
        self._metrics.dropped.inc(len(self._waiting) - len(kept))
        self._waiting = deque(kept)
        self._waiting_bytes = sum(len(message.payload) for message in kept)
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
        """Take no further batch. What waits is not acknowledged, so the session, or the caller, keeps it."""
        self._stopping = True
        self._southbound.pause()
        for message in self._waiting:
            _tell(message, NotTaken("the agent stops"))
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
        if doubtful := [message for message in batch if message.unknown is not None]:
            await self._look_up(doubtful)
        fragments = [fragment for message in batch for fragment in message.fragments]
        refusals = await self._northbound.commit(fragments) if fragments else []
        if refusals:
            self._reject_refused(batch, refusals)
        await self._report(batch)
        if self._directory is not None:
            await self._directory.enrol()
        self._southbound.acknowledge([message.receipt for message in batch if message.receipt is not None])
        for message in batch:
            if message.done is not None:
                _tell(message, message.error)
        self._count(batch)

    async def _look_up(self, doubtful: Iterable[Message]) -> None:
        """Ask the store for devices that were unknown, and convert again."""
        assert self._directory is not None
        keys = {message.unknown.key for message in doubtful if message.unknown is not None}
        await self._directory.look_up(keys)
        for message in doubtful:
            try:
                message.take(self._converter.convert(message.topic, message.payload, message.received_at))
            except MeasureError as error:
                self._reject(message, error)

    async def _report(self, batch: Iterable[Message]) -> None:
        """Settle the results of commands."""
        for message in batch:
            for report in message.reports:
                try:
                    await self._commands.settle(report)
                except MeasureError as error:
                    self._reject(message, error)

    def _reject_refused(self, batch: list[Message], refusals: list[Refusal]) -> None:
        errors = {id(fragment): error for fragment, error in refusals}
        for message in batch:
            mine = (errors[id(fragment)] for fragment in message.fragments if id(fragment) in errors)
            if (error := next(mine, None)) is not None:
                self._reject(message, error)

    def _reject(self, message: Message, error: MeasureError) -> None:
        message.error = error
        profile = self._profile(message.topic) if message.done is None else None
        self._rejections.add(error, message.topic, message.payload, profile, message.received_at)

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


def _tell(message: Message, outcome: "MeasureError | NotTaken | None") -> None:
    """Answer the HTTP caller who waits for the message, if there still is one."""
    if message.done is None or message.done.done():
        return
    if isinstance(outcome, NotTaken):
        message.done.set_exception(outcome)
    else:
        message.done.set_result(outcome)
