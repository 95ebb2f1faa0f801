"""The notifier as a process: its parts put together, started, watched and stopped."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from broker.address_rule import address_rule
from broker.clock import system_now
from broker.context_fetch import web_of_contexts
from broker.context_supply import ContextSupply, SuppliedContexts
from broker.contexts import Contexts
from broker.listening import listen
from broker.notify import metrics
from broker.notify.membership import Membership
from broker.notify.ops import make_app, make_server
from broker.notify.pipeline import Pipeline, Surroundings, note_first_failure, running_pipeline
from broker.notify.settings import DeliverySettings
from broker.notify.transports.base import Transport
from broker.notify.transports.outside import Outside
from broker.notify.transports.registry import Transports
from broker.preloaded_contexts import preloaded
from broker.settings import Settings
from broker.storage.mongo_contexts import MongoContextStore
from broker.storage.mongo_deliveries import MongoDeliveries
from broker.storage.mongo_feed import MongoFeed, connect_feed
from broker.storage.mongo_linked import MongoLinked
from broker.storage.mongo_shares import MongoShares
from broker.tasks import close, end

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class RunningNotifier:
    """A notifier at work. `pipeline` is None while partitions change hands or all are with others.

    `failure` is set when one of its tasks ends.
    """

    membership: Membership
    failure: asyncio.Future[None]
    stopping: asyncio.Future[None]
    pipeline: Pipeline | None = None

    def checks(self) -> Mapping[str, str | None]:
        """For /ready: what is needed, and why it cannot be used."""
        roll, pipeline = self.membership.roll, self.pipeline
        if roll is None:
            return {"mongodb": "not reached yet", "subscriptions": "not read yet"}
        if pipeline is None:
            is_spare = bool(roll.partitions) and all(one.holder in roll.members for one in roll.partitions)
            return {"mongodb": None, "subscriptions": None if is_spare else "partitions are changing hands"}
        return {
            "mongodb": None if pipeline.feed.connected else "the change stream is interrupted; it is tried again",
            "subscriptions": None if pipeline.notifier.is_following else "being read",
        }

    def partitions(self) -> list[int]:
        """The partitions of the subscriptions that are served here."""
        return [] if self.pipeline is None else sorted(self.pipeline.share.partitions)

    async def serve(self, surroundings: Surroundings) -> None:
        """Works for the partitions that it holds, with a new pipeline whenever these change, until it is stopped."""
        while not self.stopping.done():
            share = await _first(self.membership.share(), self.stopping)
            if share is None:
                return
            async with running_pipeline(surroundings, share) as pipeline:
                self.pipeline = pipeline
                metrics.PARTITIONS.set(len(share.partitions))
                try:
                    is_lost = await _first(self.membership.until_disturbed(), self.stopping, pipeline.failure)
                    pipeline.is_lost = bool(is_lost)
                finally:
                    self.pipeline = None
                    metrics.PARTITIONS.set(0)

    async def stop(self, serving: asyncio.Task[None]) -> None:
        """Lets `serve`, which is this task, finish what is under way."""
        self.stopping.set_result(None)
        await asyncio.wait([serving])


async def run() -> None:
    """Follows the changes and notifies, until SIGTERM or SIGINT. Raises StartError when its port is taken."""
    settings = Settings()
    listener = listen(settings.host, settings.notifier_port, "notifier", "MEDINA_NOTIFIER_PORT")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    # The many objects of a batch die with it, by reference counting; looking for cycles among them takes a fifth of
    # the time (measured at 4,000 notifications/s).
    gc.set_threshold(20_000, 20, 50)
    async with running_notifier(settings, DeliverySettings()) as running:
        server = make_server(make_app(running.checks, running.partitions))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        running.failure.add_done_callback(lambda _: stopping.set())
        await stopping.wait()
        server.should_exit = True
        await serving
        if running.failure.done():
            running.failure.result()
    log.info("notifier stopped")


@asynccontextmanager
async def running_notifier(
    settings: Settings, delivery: DeliverySettings, transport: Transport | None = None
) -> AsyncIterator[RunningNotifier]:
    """A notifier that works until the block ends; it then finishes what is under way and stores its position.

    It may take some time until it follows the changes (`RunningNotifier.checks`): it waits for MongoDB.
    """
    async with AsyncExitStack() as stack:
        client = connect_feed(settings.mongodb_uri, settings.mongodb_timeout_s)
        stack.push_async_callback(close, client)
        transport = transport or Transports(Outside(address_rule(settings.notify_addresses), delivery.ca_file))
        stack.push_async_callback(transport.close)
        contexts = Contexts(preloaded(settings.contexts))
        supply = ContextSupply(
            contexts, MongoContextStore(client, settings.database), web_of_contexts(settings), system_now
        )
        await stack.enter_async_context(supply.tended())
        shares = MongoShares(client, settings.database)
        feed = MongoFeed(client, settings.database)
        membership = Membership(shares, feed.present)
        surroundings = Surroundings(
            feed,
            MongoDeliveries(client, settings.database),
            shares,
            membership.name,
            transport,
            SuppliedContexts(contexts, supply),
            MongoLinked(client, settings.database, system_now).read,
            delivery,
        )
        stack.push_async_callback(membership.leave)
        loop = asyncio.get_running_loop()
        running = RunningNotifier(membership, loop.create_future(), loop.create_future())
        beating = asyncio.create_task(membership.run())
        stack.push_async_callback(end, [beating])
        serving = asyncio.create_task(running.serve(surroundings))
        stack.push_async_callback(running.stop, serving)
        note_first_failure([beating, serving], running.failure)
        yield running


async def _first(awaited: Coroutine[Any, Any, T], *ends: asyncio.Future[None]) -> T | None:
    """The result of a coroutine, None as soon as one of the futures is set; raises what that holds."""
    task = asyncio.create_task(awaited)
    waited_for: list[asyncio.Future[Any]] = [task, *ends]
    try:
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        for ended in ends:
            if ended.done():
                return ended.result()
        return await task
    finally:
        await end([task])
