"""Tells devices that have asked for it whenever their configuration changes.

request ─▶ document ─▶ acknowledged ─▶ subscription at the context broker, and the values as they are
notification ─▶ document (due) ─▶ 2xx ─▶ the values as they are by then ─▶ device

What counts is what the entity says now: a device that is away is told the newest values when it is back, before the
deadline that commands have, and not each change. Any agent tells what it has heard of; the one that sends the commands
tells what is left over.

Source: telefonicaid/iotagent-json and iotagent-ul, docs/usermanual.md, "Configuration retrieval": any of the attributes
changes, all of them are sent. The first values come at once, as NGSIv2 brokers notify when a subscription is made.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import orjson
import structlog

from agents.commands.command import Line, Outcome, pause_s
from agents.commands.configuration import Configuration
from agents.commands.context_broker import ContextBroker
from agents.commands.followed import Followed, FollowedStore
from agents.commands.store import Kind
from agents.commands.upkeep import line_of, notified_at
from agents.errors import BrokerUnavailable, StoreUnavailable
from agents.metrics import Metrics
from agents.registry import Key, Source
from agents.specification import DeviceSpec, Target
from agents.tasks import end

log = structlog.get_logger(__name__)

PREFIX = "urn:ngsi-ld:Subscription:configuration-"
TICK_S = 1.0
"""How often the leading agent looks for devices that are still to be told."""
CLAIM_S = 30.0
"""Longer than any attempt takes."""
SIDE_BY_SIDE_COUNT = 50
FINISH_S = 1.5
"""How long a stopping agent waits for attempts under way."""


class Following:
    """See the module."""

    def __init__(
        self,
        store: FollowedStore,
        configuration: Configuration,
        broker: ContextBroker,
        known: Source,
        metrics: Metrics,
        leads: Callable[[], bool],
        notify_url: str,
        database: str,
        expires_s: float,
    ) -> None:
        """`known`: which devices there are; `expires_s`: how long a device is tried."""
        self._store = store
        self._configuration = configuration
        self._broker = broker
        self._known = known
        self._metrics = metrics
        self._leads = leads
        self._notify_url = notify_url
        self._database = database
        self._expires_s = expires_s
        self._urgent: set[str] = set()
        self._wake = asyncio.Event()
        self._telling: dict[str, asyncio.Task[None]] = {}

    async def prepare(self) -> None:
        """Make sure that there are indexes. `StoreUnavailable`."""
        await self._store.prepare()

    async def follow(self, spec: DeviceSpec, names: Sequence[str]) -> None:
        """Tell a device from now on, in place of what it followed before; no names: no more. `StoreUnavailable`."""
        id_ = self._id(spec.target, line_of(spec))
        if names or any(followed.id == id_ for followed in await self._store.of(line_of(spec))):
            await self._enter(Followed(id_, line_of(spec), Kind(spec.target, spec.entity_type), spec.entity_id, names))

    async def provisioned(self, spec: DeviceSpec) -> None:
        """Follow the entity that a device has now. `StoreUnavailable`."""
        for followed in await self._store.of(line_of(spec)):
            place = (Kind(spec.target, spec.entity_type), spec.entity_id)
            if followed.names and (followed.kind, followed.entity_id) != place:
                await self._enter(followed._replace(names=()))
                await self.follow(spec, followed.names)

    async def removed(self, line: Line) -> None:
        """Follow nothing more for a device. `StoreUnavailable`."""
        for followed in await self._store.of(line):
            await self._enter(followed._replace(names=()))

    async def notified(self, subscription_id: str) -> bool:
        """Learn that something has changed; False when the subscription is none of these. `StoreUnavailable`."""
        if not subscription_id.startswith(PREFIX):
            return False
        if await self._store.changed(subscription_id, *self._span()):
            self._tell_soon(subscription_id)
        return True

    async def mend(self) -> None:
        """See that the notifications come to this agent. `StoreUnavailable`."""
        await self._store.elsewhere(self._notify_url, *self._span())

    async def run(self) -> None:
        """Tell devices; until cancelled."""
        rounds = asyncio.create_task(self._rounds())
        try:
            await asyncio.wait([rounds])
            rounds.result()
        finally:
            await end([rounds])  # by itself: it may miss a cancellation, and what follows is to be done once
            if self._telling:
                await asyncio.wait(self._telling.values(), timeout=FINISH_S)
            await end(self._telling.values())

    async def _rounds(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailable):
                await self._round()

    async def _enter(self, followed: Followed) -> None:
        await self._store.enter(followed, *self._span())
        self._tell_soon(followed.id)

    def _tell_soon(self, id_: str) -> None:
        self._urgent.add(id_)
        self._wake.set()

    def _span(self) -> tuple[datetime, datetime]:
        now = datetime.now(UTC)
        return now, now + timedelta(seconds=self._expires_s)

    def _id(self, target: Target, line: Line) -> str:
        """The id of the subscription, the same in every agent of this database."""
        parts = orjson.dumps([self._database, target.tenant, *line])
        return PREFIX + blake2b(parts, digest_size=12).hexdigest()

    async def _round(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), TICK_S)
        self._wake.clear()
        room = SIDE_BY_SIDE_COUNT - len(self._telling)
        ids = [id_ for id_ in self._urgent if id_ not in self._telling][: max(room, 0)]
        self._urgent.difference_update(ids)
        if self._leads() and room > len(ids):
            ids += await self._store.due(datetime.now(UTC), [*self._telling, *ids], room - len(ids))
        for id_ in ids:
            task = self._telling[id_] = asyncio.create_task(self._tell(id_))
            task.add_done_callback(lambda _, id_=id_: self._done(id_))  # type: ignore[misc]

    def _done(self, id_: str) -> None:
        del self._telling[id_]
        if self._urgent:
            self._wake.set()

    async def _tell(self, id_: str) -> None:
        """Tell a device once, or see to the subscription first. What fails here is left for a later round."""
        with contextlib.suppress(StoreUnavailable):
            now = datetime.now(UTC)
            followed = await self._store.claim(id_, now, now + timedelta(seconds=CLAIM_S))
            if followed is None:
                return
            try:
                outcome = await self._told(followed)
            except BrokerUnavailable as error:
                log.warning("a device is not told its configuration yet", device=followed.line.device, why=str(error))
                outcome = Outcome("later", str(error))
            next_at = None
            if outcome is not None:
                self._metrics.commands.labels(f"configuration-{outcome.verdict}").inc()
                if outcome.verdict == "later":
                    next_at = datetime.now(UTC) + timedelta(seconds=pause_s(followed.attempts_count + 1))
            if not await self._store.told(followed, next_at):
                self._tell_soon(id_)

    async def _told(self, followed: Followed) -> Outcome | None:
        """What became of an attempt; None when the device wants to be told no more. `BrokerUnavailable`."""
        kind = followed.kind
        if not followed.names:
            await self._broker.unsubscribe(followed.id, kind)
            await self._store.remove(followed)
            return None
        if not followed.address:
            address = notified_at(self._notify_url, kind.target)
            await self._broker.follow(followed.id, kind, followed.entity_id, followed.names, address)
            await self._store.made(followed, address)
        spec = self._known.named(Key(*followed.line))
        if spec is None:
            return Outcome("later", "the device is not known")
        return await self._configuration.tell(spec, followed.names)
