"""All streams of a process: how one begins, how many there may be, and how all end when the process does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from broker.context_supply import SuppliedContexts
from broker.errors import Overloaded
from broker.storage.mongo_log import MongoLogs
from broker.streams import metrics
from broker.streams.channel import Channel
from broker.streams.client import Client, caught_up
from broker.streams.hub import Hub
from broker.streams.message import end
from broker.streams.place import Resume
from broker.tenants import Tenants

_CATCH_UPS_AT_ONCE = 8
_TELL_WITHIN_S = 0.8


class Streams:
    """What serves those who follow subscriptions; costs nothing while there are none. To be made in the event loop.

    `count` bounds the streams of the process, `channel_bytes` what waits for each client.
    """

    def __init__(
        self,
        logs: MongoLogs,
        tenants: Tenants,
        contexts: SuppliedContexts,
        clock: Callable[[], str],
        *,
        count: int,
        channel_bytes: int,
        start_within_s: float,
    ) -> None:
        self._logs = logs
        self._tenants = tenants
        self._clock = clock
        self._count = count
        self._channel_bytes = channel_bytes
        self._hub = Hub(logs.reader, logs.read_linked, contexts, clock, start_within_s)
        self._turns = asyncio.Semaphore(_CATCH_UPS_AT_ONCE)
        self._open_count = 0
        self._is_ending = False
        self._emptied = asyncio.Event()
        self._stopping = asyncio.Event()

    @asynccontextmanager
    async def opened(
        self, tenant_name: str, subscription_id: str, resume: Resume | None, transport: str
    ) -> AsyncIterator[Client]:
        """A stream, from an id on or from now, until the block ends.

        Raises NonexistentTenant, ResourceNotFound, OperationNotSupported where there is nothing to follow, Overloaded,
        StorageUnavailable, and LdContextNotAvailable.
        """
        if self._is_ending or self._open_count >= self._count:
            raise Overloaded(f"This process serves no more than {self._count} streams at a time; try again later")
        self._open_count += 1
        metrics.OPEN.labels(transport).inc()
        try:
            tenant = await self._tenants.get(tenant_name, create=False)
            channel = Channel(self._channel_bytes)
            key = (tenant_name, subscription_id)
            hub = self._hub
            async with (
                hub.following(key, lambda: tenant.subscriptions.get(subscription_id), channel) as followed,
                caught_up(hub, followed, channel, resume, self._logs, self._turns) as begin,
            ):
                yield Client(hub, followed, channel, self._clock, begin, self._stopping)
        finally:
            self._open_count -= 1
            if not self._open_count:
                self._emptied.set()
            metrics.OPEN.labels(transport).dec()

    async def end(self) -> None:
        """Ends all streams, and serves no new ones: the process stops. Waits a little until the clients are told."""
        self._is_ending = True
        self._stopping.set()
        self._hub.finish(end("stopping", "This process stops; come back with the last id", resumable=True))
        if self._open_count:
            self._emptied.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TELL_WITHIN_S):
                    await self._emptied.wait()

    async def close(self) -> None:
        """Ends the feed and the connections to MongoDB."""
        await self._hub.close()
        await self._logs.close()
