"""A client that comes back is served from the log, from the id of its last message on, up to the live feed."""

import asyncio

from broker.clock import system_now
from broker.storage.mongo_log import MongoLog, MongoLogs
from broker.streams import metrics
from broker.streams.channel import Channel
from broker.streams.followed import Followed
from broker.streams.hub import Hub
from broker.streams.message import gap
from broker.streams.place import Resume, behind
from broker.streams.reading import Reading

_EVENTS_AT_A_TIME = 32


async def catch_up(
    hub: Hub, followed: Followed, channel: Channel, resume: Resume, source: MongoLogs, turns: asyncio.Semaphore
) -> None:
    """Puts what was missed into the channel, then lets the live notifications follow: no gap, nothing twice.

    `turns` bounds how many read the log at the same time. The subscription is served as it is now.
    """
    async with turns:
        metrics.CATCH_UPS.inc()
        feed = source.reader(resume.moment)
        try:
            await feed.open()
            await _CatchUp(hub, followed, channel, resume, feed, source).run()
        finally:
            await feed.close()
    channel.join()


class _CatchUp:
    def __init__(
        self, hub: Hub, followed: Followed, channel: Channel, resume: Resume, feed: MongoLog, source: MongoLogs
    ) -> None:
        self._hub = hub
        self._followed = followed
        self._channel = channel
        self._feed = feed
        self._lost_count = feed.lost_count
        self._reading = Reading(resume.place, source.read_linked, resume)
        if followed.subscriber is not None:
            self._reading.put(followed.subscriber)

    async def run(self) -> None:
        """Reads to the present, waits until the live feed is there too, then reads to the place where that stands."""
        if self._feed.gap is not None:
            await self._channel.catch_up(gap(self._feed.gap, await self._hub.listen(self._channel)))
            return
        seen = ""
        until: str | None = None
        async for batch in self._feed.batches():
            if self._feed.lost_count != self._lost_count:
                self._lost_count = self._feed.lost_count
                await self._channel.catch_up(gap("MongoDB was away for longer than its log reaches back"))
            now = system_now()
            for number, event in enumerate(batch.events):
                place = self._reading.next_place(event)
                if until is not None and place > until:
                    break
                for _, message in await self._reading.read(event, place, now):
                    await self._channel.catch_up(message)
                seen = place
                if number % _EVENTS_AT_A_TIME == _EVENTS_AT_A_TIME - 1:
                    await asyncio.sleep(0)
            if self._channel.is_ended:
                return
            if until is None and batch.caught_up:
                until = await self._hub.listen(self._channel, seen)
                seen = max(seen, behind(self._feed.began))
            if until is not None and seen >= until:
                break
        # What the hub began to gather after it followed the subscription, it has as a whole.
        for _, message in self._reading.settle(system_now(), began_before=self._followed.place):
            await self._channel.catch_up(message)
