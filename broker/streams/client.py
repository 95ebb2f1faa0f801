"""The course of one client's stream, whatever carries it: what it is sent, from the beginning to the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

import structlog

from broker import tasks
from broker.errors import StorageUnavailable
from broker.storage.mongo_log import MongoLogs
from broker.streams import metrics
from broker.streams.catching_up import catch_up
from broker.streams.channel import Channel
from broker.streams.followed import Followed
from broker.streams.hub import Hub
from broker.streams.message import Message, end, heartbeat, status
from broker.streams.place import Resume
from broker.streams.throttle import Throttle
from ngsi.datetimes import parse as moment

HEARTBEAT_S = 15.0
_END_WITHIN_S = 1.0
_GIVE_UP_S = 0.4

log = structlog.get_logger(__name__)


class Client:
    """One who follows a subscription. `link` is the @context of what it is sent where that is not in the body."""

    def __init__(
        self,
        hub: Hub,
        followed: Followed,
        channel: Channel,
        clock: Callable[[], str],
        begin: str | None,
        stopping: asyncio.Event,
    ) -> None:
        self._hub = hub
        self._followed = followed
        self._channel = channel
        self._clock = clock
        self._begin = begin
        self._stopping = stopping
        self._throttle = Throttle(followed.throttling_s)

    @property
    def link(self) -> str | None:
        """The URL of the @context of the notifications, None where it is in their bodies or not known."""
        return None if self._followed.subscriber is None else self._followed.subscriber.link

    async def given_up(self) -> None:
        """Returns when the process stops and the client has not even taken the end within a moment."""
        await self._stopping.wait()
        await asyncio.sleep(_GIVE_UP_S)

    async def messages(self) -> AsyncIterator[list[Message]]:
        """What is sent together, one after the other; a heartbeat where nothing else has come for a while."""
        greeting = [heartbeat(self._begin)]
        if self._followed.subscriber is None:
            greeting.append(status(self._followed.status))
        yield greeting
        silent_since_s = monotonic()
        while True:
            due_s = silent_since_s + HEARTBEAT_S - monotonic()
            taken = await self._channel.take(max(0.0, min(due_s, self._wait_s())))
            now_s = monotonic()
            out = self._throttled(taken, now_s)
            if not self._channel.is_ended and self._followed.has_expired(self._clock()):
                out.append(end("expired", f"Subscription {self._followed.key[1]} has expired", resumable=False))
            elif not out and now_s >= silent_since_s + HEARTBEAT_S:
                out = [heartbeat(self._hub.id if self._is_up_to_date else None)]
            if out:
                silent_since_s = now_s
                yield out
                if out[-1].is_last:
                    metrics.ENDED.labels(out[-1].reason).inc()
                    return

    @property
    def _is_up_to_date(self) -> bool:
        return self._channel.is_drained and not self._throttle.is_holding

    def _throttled(self, taken: list[Message], now_s: float) -> list[Message]:
        if not self._followed.throttling_s and not self._throttle.is_holding:
            return taken
        self._throttle.interval_s = self._followed.throttling_s
        return self._throttle.let_through(taken, now_s)

    def _wait_s(self) -> float:
        """How long nothing but a new message can make a difference."""
        waits_s = [HEARTBEAT_S]
        if (held_s := self._throttle.wait_s(monotonic())) is not None:
            waits_s.append(held_s)
        if self._followed.expires_at is not None:
            waits_s.append((moment(self._followed.expires_at) - moment(self._clock())).total_seconds())
        return min(waits_s)


@asynccontextmanager
async def caught_up(
    hub: Hub, followed: Followed, channel: Channel, resume: Resume | None, source: MongoLogs, turns: asyncio.Semaphore
) -> AsyncIterator[str | None]:
    """Lets the channel be served from the id on, or from now, until the block ends; gives the id that now is."""
    if resume is None:
        await hub.listen(channel)
        channel.join()
        yield hub.id
        return
    work = asyncio.create_task(_catch_up(hub, followed, channel, resume, source, turns))
    try:
        yield None
    finally:
        # It notices, and is not broken off in the middle of a command, unless that takes too long.
        channel.finish(end("left", "The client has gone", resumable=True))
        await asyncio.wait((work,), timeout=_END_WITHIN_S)
        await tasks.end([work])


async def _catch_up(
    hub: Hub, followed: Followed, channel: Channel, resume: Resume, source: MongoLogs, turns: asyncio.Semaphore
) -> None:
    try:
        await catch_up(hub, followed, channel, resume, source, turns)
    except StorageUnavailable as exc:
        channel.finish(end("unavailable", exc.detail, resumable=True))
    except Exception:
        log.exception("stream not served from the log", subscription=followed.key[1], tenant=followed.key[0])
        channel.finish(end("failed", "The log cannot be read; come back", resumable=True))
