"""Sends commands, lets them expire, and shows their states on the entities: in one of the agents at a time.

The one that holds the lease sends for all devices, so the commands of a device leave in order whichever agent took
them. When it dies, another takes over within seconds; a command that was just being sent is then sent again.

One device's commands go one after the other (the next when the one before has been taken), those of different devices
side by side: a device that does not answer holds up nobody else.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import uuid4

import orjson
import structlog

from agents.commands.command import INFO, STATUS, Command, Line, Outcome, pause_s
from agents.commands.notified import idle
from agents.commands.publisher import Publisher
from agents.commands.push import Pusher
from agents.commands.store import CommandStore
from agents.errors import StoreUnavailable
from agents.fragment import Fragment
from agents.metrics import Metrics
from agents.northbound import Northbound
from agents.tasks import end
from ngsi.datetimes import system_text

log = structlog.get_logger(__name__)

LEASE_S = 4.0
RENEW_S = 1.5
TICK_S = 1.0
"""How often is looked for what has become due, if nothing else gives a reason to look."""
LOOK_EVERY_S = 0.1
"""How often is looked for what other agents have taken."""
CLAIM_S = 30.0
"""Longer than any attempt takes."""
SIDE_BY_SIDE_COUNT = 100
SHOWN_AT_ONCE_COUNT = 200
FINISH_S = 1.5
"""How long a stopping agent waits for attempts under way; a command whose attempt is cut off is sent again."""
AWAY_S = 0.5
"""Pause while MongoDB does not answer."""


class Dispatcher:
    """See the module."""

    def __init__(
        self, store: CommandStore, publisher: Publisher, pusher: Pusher, northbound: Northbound, metrics: Metrics
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._pusher = pusher
        self._northbound = northbound
        self._metrics = metrics
        self._holder = str(uuid4())
        self._leads_until = 0.0
        self._wake = asyncio.Event()
        self._unshown = asyncio.Event()
        self._sending: dict[Line, asyncio.Task[None]] = {}

    @property
    def leads(self) -> bool:
        """Whether it is this agent that sends."""
        return monotonic() < self._leads_until

    def wake(self) -> None:
        """Look at once for what is to be done."""
        self._wake.set()
        self._unshown.set()

    async def run(self) -> None:
        """Work until cancelled."""
        parts = (self._keep_lease, self._listen, self._send, self._show)
        tasks = [asyncio.create_task(self._endlessly(part)) for part in parts]
        try:
            # Not gather: cancelled, it waits for all of them, and one may have missed it, see `end`.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(tasks)
            if self._sending:
                await asyncio.wait(self._sending.values(), timeout=FINISH_S)
            await end(self._sending.values())
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(1):
                    await self._store.resign(self._holder)

    async def _endlessly(self, part: Callable[[], Awaitable[None]]) -> None:
        """Repeat a part; while MongoDB is away, with pauses."""
        while True:
            try:
                await part()
            except StoreUnavailable as error:
                log.warning("commands wait for MongoDB", why=str(error))
                await asyncio.sleep(AWAY_S)

    async def _keep_lease(self) -> None:
        began, led = monotonic(), self.leads
        if await self._store.lead(self._holder, LEASE_S):
            self._leads_until = began + LEASE_S
            if not led:
                self.wake()
        await asyncio.sleep(RENEW_S)

    async def _listen(self) -> None:
        """Look for what other agents have taken, as long as this one sends and there are commands at all.

        A change stream would tell sooner, but each that is open makes MongoDB look at every write of the whole server:
        10 to 25 µs for each update of an entity.
        """
        if self.leads and await self._store.kinds():
            former = None
            while self.leads:
                if (latest := await self._store.latest()) != former:
                    former = latest
                    self.wake()
                await asyncio.sleep(LOOK_EVERY_S)
        else:
            await asyncio.sleep(RENEW_S)

    async def _send(self) -> None:
        """One round: what has expired, what is due."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), TICK_S)
        self._wake.clear()
        if not self.leads:
            return
        now = datetime.now(UTC)
        if expired := await self._store.expire(now):
            self._metrics.commands.labels("expired").inc(expired)
            self._unshown.set()
        room = SIDE_BY_SIDE_COUNT - len(self._sending)
        if room > 0:
            for command in await self._store.heads(now, tuple(self._sending), room):
                task = asyncio.create_task(self._attempt(command))
                self._sending[command.line] = task
                task.add_done_callback(lambda _, line=command.line: self._sent(line))  # type: ignore[misc]

    def _sent(self, line: Line) -> None:
        del self._sending[line]
        self._wake.set()

    async def _attempt(self, command: Command) -> None:
        """Try to send a command once."""
        try:
            claimed = await self._store.claim(command, datetime.now(UTC) + timedelta(seconds=CLAIM_S))
            if claimed is None or not self.leads:
                return
        except StoreUnavailable:
            return  # nothing was sent; the next round tells of MongoDB
        outcome = await self._transmit(claimed)
        await self._enter(claimed, outcome)
        self._metrics.commands.labels(outcome.verdict).inc()
        self._unshown.set()
        if outcome.verdict != "delivered":
            log.info("command", command=command.id, device=command.line.device, verdict=outcome.verdict)

    async def _enter(self, command: Command, outcome: Outcome) -> None:
        """Enter what became of an attempt, however long MongoDB is away: else it would be sent again."""
        now = datetime.now(UTC)
        next_at = now + timedelta(seconds=pause_s(command.attempts_count))
        while True:
            try:
                await self._store.attempted(command, outcome, now, next_at)
            except StoreUnavailable:
                await asyncio.sleep(AWAY_S)
            else:
                return

    async def _transmit(self, command: Command) -> Outcome:
        message = command.message
        if message.way == "push":
            return await self._pusher.push(command)
        return await self._publisher.publish(
            message.to, message.payload, message.qos, retain=message.retain, command=command.id
        )

    async def _show(self) -> None:
        """One round: write states to the entities that do not have them yet."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._unshown.wait(), TICK_S)
        self._unshown.clear()
        while self.leads and (commands := await self._store.unshown(SHOWN_AT_ONCE_COUNT)):
            fragments = _fragments(commands)
            for refusal in await self._northbound.commit(fragments):
                self._metrics.commands.labels("unshowable").inc()
                log.warning("an entity does not take a status", entity=refusal.fragment.entity_id, why=str(refusal))
            await self._store.shown(commands)


def _fragments(commands: Sequence[Command]) -> list[Fragment]:
    """What the entities are to show, in the order of the changes."""
    return [Fragment(command.entity_id, _body(command), command.target) for command in commands]


def _body(command: Command) -> bytes:
    at = system_text(command.history[-1].at) if command.history else system_text(command.issued_at)
    entity: dict[str, object] = {"id": command.entity_id, "type": command.entity_type}
    if not command.is_cleared:
        attribute = {"type": "Property", "value": idle(command.id)}
        entity[command.name] = {**attribute, "datasetId": command.dataset} if command.dataset else attribute
    for ending, value in ((STATUS, command.status), (INFO, command.info)):
        entity[command.name + ending] = {"type": "Property", "value": value, "observedAt": at}
    return orjson.dumps(entity)
