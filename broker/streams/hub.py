"""The live part of all streams of a process: one feed for all, opened for the first and closed after the last."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic

import structlog

from broker import tasks
from broker.context_supply import SuppliedContexts
from broker.errors import StorageUnavailable
from broker.notify.linking import Read
from broker.storage.mongo_feed import Batch
from broker.storage.mongo_log import MongoLog
from broker.streams import metrics
from broker.streams.channel import Channel
from broker.streams.followed import Followed, Load
from broker.streams.message import Message, end, gap
from broker.streams.place import behind
from broker.streams.reading import Key, Reading

LOOK_AGAIN_S = 15.0
_EVENTS_AT_A_TIME = 32
_END_WITHIN_S = 1.2

OpenLog = Callable[[str | None], MongoLog]
"""A reader of the log from a moment on, or from now; it is not open yet."""

log = structlog.get_logger(__name__)


class Hub:
    """Who follows what, and the feed that serves them. Everything is in one event loop."""

    def __init__(
        self,
        open_log: OpenLog,
        read_linked: Read,
        contexts: SuppliedContexts,
        clock: Callable[[], str],
        start_within_s: float,
    ) -> None:
        self._open_log = open_log
        self._read_linked = read_linked
        self._contexts = contexts
        self._clock = clock
        self._start_within_s = start_within_s
        self._followed: dict[Key, Followed] = {}
        self._reading = Reading("", read_linked)
        self._following: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._look_again_at_s = 0.0
        self._users = 0
        self._subscription_events_count = 0
        # Held while a batch is worked through: who takes it sees the place between two batches.
        self._between_batches = asyncio.Lock()
        self._starting = asyncio.Lock()
        self._advanced = asyncio.Condition()

    @property
    def id(self) -> str:
        """The id of a client that has got everything."""
        return self._reading.id

    @asynccontextmanager
    async def following(self, key: Key, load: Load, channel: Channel) -> AsyncIterator[Followed]:
        """Feeds the channel with what becomes of a subscription; live notifications wait there until it is joined.

        Raises what `Followed.read` does.
        """
        self._users += 1
        try:
            await self._started()
            followed = await self._attached(key, load, channel)
            try:
                yield followed
            finally:
                del followed.channels[channel]
                self._tidy(key)
        finally:
            self._users -= 1
            if not self._users:
                self._stop()

    async def listen(self, channel: Channel, place: str = "") -> str:
        """Waits until the live feed is as far as the place; from its own place, which is given, the channel listens."""
        async with self._advanced:
            await self._advanced.wait_for(lambda: self._reading.place >= place)
        async with self._between_batches:
            channel.listen()
            return self._reading.place

    def finish(self, message: Message) -> None:
        """Ends all streams."""
        for followed in self._followed.values():
            followed.finish(message)

    async def _attached(self, key: Key, load: Load, channel: Channel) -> Followed:
        while True:
            seen_count = self._subscription_events_count
            followed = self._followed.get(key)
            if followed is None:
                followed = Followed(key, load, self._contexts)
                await followed.read(self._clock())
            async with self._between_batches:
                if key in self._followed:
                    followed = self._followed[key]
                elif seen_count != self._subscription_events_count:
                    continue  # It may have changed after it was read, before anybody took notice of such changes.
                else:
                    self._followed[key] = followed
                    followed.place = self._reading.place
                    self._serve(followed)
                followed.channels[channel] = None
                return followed

    def _tidy(self, key: Key) -> None:
        followed = self._followed.get(key)
        if followed is not None and not followed.channels:
            del self._followed[key]
            self._reading.remove(key)

    def _serve(self, followed: Followed) -> None:
        if followed.subscriber is None:
            self._reading.remove(followed.key)
        else:
            self._reading.put(followed.subscriber)

    async def _started(self) -> None:
        async with self._starting:
            if self._following is not None and not self._following.done():
                return
            feed = self._open_log(None)
            try:
                async with asyncio.timeout(self._start_within_s):
                    await feed.open()
            except TimeoutError:
                await feed.close()
                raise StorageUnavailable("MongoDB's change stream cannot be opened now; try again") from None
            except asyncio.CancelledError:
                await feed.close()
                raise
            # The feed before it may still have a batch in work.
            async with self._between_batches:
                self._reading = Reading(behind(feed.began), self._read_linked)
            self._following = asyncio.create_task(self._follow(feed), name="streams-feed")
            log.info("streams: feed opened")

    def _stop(self) -> None:
        """Lets the feed end with its next batch, within a second: breaking off what PyMongo does is not reliable."""
        if self._following is not None:
            self._ending.add(self._following)
            self._following.add_done_callback(self._ending.discard)
            self._following = None

    async def close(self) -> None:
        """Waits for the end of the feed, after all streams have ended."""
        self._stop()
        if self._ending:
            await asyncio.wait(self._ending, timeout=_END_WITHIN_S)
        await tasks.end(list(self._ending))

    async def _follow(self, feed: MongoLog) -> None:
        lost_count = feed.lost_count
        try:
            async for batch in feed.batches():
                if self._following is not asyncio.current_task():
                    break
                if feed.lost_count != lost_count:
                    lost_count = feed.lost_count
                    self._tell_gap()
                async with self._between_batches:
                    await self._work_through(batch)
                    if monotonic() >= self._look_again_at_s:
                        self._look_again_at_s = monotonic() + LOOK_AGAIN_S
                        await self._refresh(list(self._followed))
                async with self._advanced:
                    self._advanced.notify_all()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("streams: feed failed")
            self.finish(end("failed", "This process cannot follow the changes; come back", resumable=True))
            self._followed.clear()
        finally:
            await feed.close()
            log.info("streams: feed closed")

    def _tell_gap(self) -> None:
        told = gap("MongoDB was away for longer than its log reaches back")
        for followed in self._followed.values():
            followed.put(told)

    async def _work_through(self, batch: Batch) -> None:
        now = self._clock()
        changed: dict[Key, None] = {}
        metrics.EVENTS.inc(len(batch.events))
        for number, event in enumerate(batch.events):
            if event.collection == "subscriptions":
                changed[event.tenant, event.id] = None
                self._subscription_events_count += 1
            self._spread(await self._reading.read(event, self._reading.next_place(event), now))
            if number % _EVENTS_AT_A_TIME == _EVENTS_AT_A_TIME - 1:
                await asyncio.sleep(0)
        if not batch.events:
            self._spread(self._reading.settle(now))
        await self._refresh(changed)

    async def _refresh(self, keys: Iterable[Key]) -> None:
        """Reads subscriptions again.

        Not only when the feed tells of a change: it does not when their tenant is deleted, nor when an @context was
        loaded anew.
        """
        now = self._clock()
        for key in keys:
            if (followed := self._followed.get(key)) is not None:
                await followed.refresh(now)
                self._serve(followed)

    def _spread(self, messages: list[tuple[Key, Message]]) -> None:
        for key, message in messages:
            if (followed := self._followed.get(key)) is not None:
                followed.put(message)
