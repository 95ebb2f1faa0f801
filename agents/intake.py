"""Messages on their way through the agent: converted as they come, committed in batches, acknowledged in order.

MQTT and HTTP share one queue, so nothing overtakes, whichever way it came. One batch is under way at a time, and the
next gathers meanwhile: an idle agent passes a message on at once, a busy one in large batches. A refused message keeps
its place in the queue without fragments, so that acknowledgements leave in the order of arrival.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import structlog

from agents.commands.base import Commands
from agents.conversion import Converter
from agents.errors import BrokerFails, Fenced, MeasureError, NotTaken, StoreUnavailable
from agents.fragment import Fragment
from agents.ledger import Entry, Ledger, Page, identity_of_key
from agents.measure import TopicParts
from agents.message import Message
from agents.metrics import Metrics
from agents.mqtt import Receipt, Southbound
from agents.northbound import Northbound, Refusal
from agents.profile import Profile
from agents.provisioning.directory import Directory
from agents.reception import Reception
from agents.sessions import Sessions
from agents.storage.mongo_ledger import MongoLedger

log = structlog.get_logger(__name__)

MAX_WAITING_BYTES = 64_000_000
WRITE_DOWN_WITHIN_S = 15.0
"""How long a batch waits for the ledger. Then it is sent all the same: a crash might store it twice, no more."""
WRITE_DOWN_AGAIN_S = 0.2


class Intake:
    """The queue between the devices and the context broker."""

    def __init__(
        self,
        reception: Reception,
        converter: Converter,
        sessions: Sessions,
        northbound: Northbound,
        ledger: Ledger,
        metrics: Metrics,
        *,
        batch_count: int,
        waiting_count: int,
        commands: Commands,
        directory: Directory | None = None,
        written: MongoLedger | None = None,
    ) -> None:
        """`written`: where the ledger is kept; None: in memory only."""
        self._reception = reception
        self._converter = converter
        self._sessions = sessions
        self._northbound = northbound
        self._ledger = ledger
        self._written = written
        self._metrics = metrics
        self._batch_count = batch_count
        self._waiting_count = waiting_count
        self._commands = commands
        self._directory = directory
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._stopping = False
        self._is_written_down = True
        self._wake = asyncio.Event()
        self._busy = asyncio.Lock()
        """Held while a batch is under way."""
        metrics.waiting.set_function(self.__len__)

    def __len__(self) -> int:
        return len(self._waiting)

    def receive(self, topic: str, payload: bytes, is_again: bool, receipt: Receipt) -> None:
        """Take a message from an MQTT session. Never raises."""
        self._enter(self._reception.from_mqtt(topic, payload, is_again, receipt))

    async def submit(
        self,
        origin: str,
        profile: Profile,
        parts: TopicParts,
        payload: bytes,
        resource: str = "",
        stated_at: datetime | None = None,
    ) -> None:
        """Take a message from an HTTP caller; returns when everything of it is committed.

        `MeasureError` when it is refused, `NotTaken` when too much waits or the agent stops: then it may come again.
        `origin` stands for the topic where the message is shown.
        """
        if self._paused or self._stopping:
            raise NotTaken("too many messages wait for the context broker")
        await self._settled(await self._reception.from_http(origin, profile, parts, payload, resource, stated_at))

    async def replay(self, topic: str, payload: bytes, at: datetime) -> None:
        """Take a message again that was rejected; returns when it is committed. Raises as `submit`."""
        if self._paused or self._stopping:
            raise NotTaken("too many messages wait for the context broker")
        await self._settled(await self._reception.again(topic, payload, at))

    async def write(self, fragments: Sequence[Fragment]) -> None:
        """Write what the agent itself has to say; returns when it is committed. Raises as `submit`."""
        if self._stopping:
            raise NotTaken("the agent stops")
        await self._settled(self._reception.own(fragments))

    async def _settled(self, message: Message) -> None:
        self._enter(message)
        assert message.done is not None
        if (refused := await message.done) is not None:
            raise refused

    def _enter(self, message: Message) -> None:
        self._waiting.append(message)
        self._waiting_bytes += len(message.payload)
        if len(self._waiting) >= self._waiting_count or self._waiting_bytes >= MAX_WAITING_BYTES:
            self._paused = True
            self._sessions.pause()
        self._wake.set()

    def await_redelivery(self, session: Southbound) -> None:
        """Let go of what waits: the resumed session delivers it again, and twice would only be work."""
        gone = [each for each in self._waiting if each.receipt is not None and each.receipt.session is session]
        if gone:
            self._metrics.dropped.inc(len(gone))
            self._reception.put_back(gone)
            self._waiting = deque(
                each for each in self._waiting if each.receipt is None or each.receipt.session is not session
            )
            self._waiting_bytes = sum(len(message.payload) for message in self._waiting)
        if self._paused and len(self._waiting) < self._waiting_count:
            self._paused = False
            self._sessions.resume()

    async def leave(self, session: Southbound) -> None:
        """Have nothing of a session under way or waiting any more: its next holder gets what is not acknowledged."""
        session.pause()
        self.await_redelivery(session)
        async with self._busy:
            session.close()

    async def run(self) -> None:
        """Commit and acknowledge until `stop`; then return when the batch under way is done."""
        while not self._stopping:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            async with self._busy:
                await self._pass_on(self._next_batch())

    def stop(self) -> None:
        """Take no further batch. What waits is not acknowledged, so the session, or the caller, keeps it."""
        self._stopping = True
        self._sessions.pause()
        for message in self._waiting:
            message.tell(NotTaken("the agent stops"))
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
            self._sessions.resume()
        return batch

    async def _pass_on(self, batch: list[Message]) -> None:
        if doubtful := [message for message in batch if message.unknown is not None]:
            await self._reception.look_up(doubtful)
        for message in batch:  # delivered again while the first delivery was still under way
            if message.is_recalled and self._ledger.is_committed(message.identity):
                self._reception.pass_over(message)
        pages = _pages(batch)
        if fenced := await self._write_down(pages):
            batch = [each for each in batch if each.receipt is None or each.receipt.session.client_id not in fenced]
        fragments = [fragment for message in batch for fragment in message.fragments]
        refusals = await self._northbound.commit(fragments, partial(self._may_give_up, batch)) if fragments else []
        for page in pages.values():
            self._ledger.settle(page)
        if refusals:
            await self._reject_refused(batch, refusals)
        await self._report(batch)
        if self._directory is not None:
            await self._directory.enrol()
        for message in batch:
            if message.receipt is not None:
                message.receipt.session.acknowledge(message.receipt)
            elif message.done is not None:
                message.tell(message.error)
        self._count(batch)

    async def _write_down(self, pages: dict[str, Page]) -> set[str]:
        """Write down what is about to be sent; return the sessions that another agent has by now.

        Waits for MongoDB for a while, but only once while it is away.
        """
        fenced: set[str] = set()
        for session, page in pages.items():
            self._ledger.intend(page.messages)
            if self._written is None or not session:
                continue
            within_s = WRITE_DOWN_WITHIN_S if self._is_written_down else WRITE_DOWN_AGAIN_S
            try:
                async with asyncio.timeout(within_s):
                    await self._write(self._written, session, page)
            except Fenced:
                fenced.add(session)
                log.warning("batch left to another agent", session=session)
            except TimeoutError:
                if self._is_written_down:
                    log.warning("measures are not written down before they are sent", session=session)
                self._is_written_down = False
        for session in fenced:
            del pages[session]
        return fenced

    async def _write(self, written: MongoLedger, session: str, page: Page) -> None:
        while True:
            try:
                await written.write(session, page)
            except StoreUnavailable:
                await asyncio.sleep(WRITE_DOWN_AGAIN_S)
            else:
                self._is_written_down = True
                return

    async def _report(self, batch: Iterable[Message]) -> None:
        """Settle the results of commands."""
        for message in batch:
            for report in message.reports:
                try:
                    await self._commands.settle(report)
                except MeasureError as error:
                    self._reception.reject(message, error)

    def _may_give_up(self, batch: Iterable[Message], fragment: Fragment) -> bool:
        """Nobody else has a message of the MQTT broker's: only one that can be replayed may be given up."""
        message = next(message for message in batch if any(each is fragment for each in message.fragments))
        return message.receipt is None or self._reception.can_keep(message)

    async def _reject_refused(self, batch: list[Message], refusals: list[Refusal]) -> None:
        errors = {id(fragment): error for fragment, error in refusals}
        for message in batch:
            mine = (errors[id(fragment)] for fragment in message.fragments if id(fragment) in errors)
            error = next(mine, None)
            if isinstance(error, BrokerFails):
                await self._reception.keep(message, error)  # acknowledged only then
            elif error is not None:
                self._reception.reject(message, error)

    def _count(self, batch: Sequence[Message]) -> None:
        self._metrics.messages.inc(len(batch))
        self._metrics.take_over(self._metrics.clocks, self._converter.clocks)
        self._metrics.take_over(self._metrics.copies, self._converter.duplicates)
        self._metrics.take_over(self._metrics.ignored, self._converter.ignored)
        if self._reception.on_outcome is not None:
            for message in batch:
                self._reception.on_outcome(message)


def _pages(batch: Iterable[Message]) -> dict[str, Page]:
    """What a batch holds, by session; that of HTTP callers, under "", is not delivered again."""
    pages: dict[str, tuple[list[Entry], list[bytes]]] = {}
    for message in batch:
        if not message.fragments:
            continue
        session = "" if message.receipt is None else message.receipt.session.client_id
        messages, keys = pages.setdefault(session, ([], []))
        if message.identity:
            messages.append(Entry(message.identity, message.stamp_ms))
        keys.extend(map(identity_of_key, message.keys))
    return {session: Page(*page) for session, page in pages.items()}
