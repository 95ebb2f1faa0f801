"""The notifier as a process: its parts put together, started, watched and stopped."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from broker.address_rule import address_rule
from broker.clock import system_now
from broker.context_fetch import web_of_contexts
from broker.context_supply import ContextSupply, SuppliedContexts
from broker.contexts import Contexts
from broker.listening import listen
from broker.notify.backlog import Backlog
from broker.notify.bookkeeping import Bookkeeping
from broker.notify.dispatcher import Dispatcher
from broker.notify.lane import Services
from broker.notify.notifier import Notifier
from broker.notify.ops import make_app, make_server
from broker.notify.retry import RetryPolicy
from broker.notify.settings import DeliverySettings
from broker.notify.transports.base import Transport
from broker.notify.transports.outside import Outside
from broker.notify.transports.registry import Transports
from broker.preloaded_contexts import preloaded
from broker.settings import Settings
from broker.storage.mongo_contexts import MongoContextStore
from broker.storage.mongo_deliveries import MongoDeliveries
from broker.storage.mongo_feed import MongoFeed, connect

FINISH_WITHIN_S = 3.0
_COUNT_BACKLOG_EVERY_S = 10.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RunningNotifier:
    """A notifier at work. `feed` and `notifier` tell how it does; `failure` is set when one of its tasks ends."""

    feed: MongoFeed
    notifier: Notifier
    failure: asyncio.Future[None]

    def checks(self) -> Mapping[str, str | None]:
        """For /ready: what is needed, and why it cannot be used."""
        return {
            "mongodb": None if self.feed.connected else "the change stream is interrupted; it is tried again",
            "subscriptions": None if self.notifier.is_following else "being read",
        }


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
        server = make_server(make_app(running.checks))
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
        client = connect(settings.mongodb_uri, settings.mongodb_timeout_s)
        stack.push_async_callback(client.close)
        transport = transport or Transports(Outside(address_rule(settings.notify_addresses), delivery.ca_file))
        stack.push_async_callback(transport.close)
        feed = MongoFeed(client, settings.database)
        stack.push_async_callback(feed.close)
        deliveries = MongoDeliveries(client, settings.database)
        backlog, bookkeeping = Backlog(deliveries), Bookkeeping(deliveries)
        policy = RetryPolicy(delivery.first_retry_s, delivery.retry_cap_s, max_age_s=delivery.max_age_s)
        dispatcher = Dispatcher(Services(transport, backlog, deliveries, bookkeeping, policy), delivery)
        contexts = Contexts(preloaded(settings.contexts))
        supply = ContextSupply(
            contexts, MongoContextStore(client, settings.database), web_of_contexts(settings), system_now
        )
        await stack.enter_async_context(supply.tended())
        notifier = Notifier(feed, deliveries, dispatcher, SuppliedContexts(contexts, supply), delivery)
        writers = [_task(backlog.run()), _task(bookkeeping.run())]
        stack.push_async_callback(_end, writers)
        stack.push_async_callback(_finish_writing, backlog, bookkeeping, notifier)
        stack.push_async_callback(dispatcher.stop, FINISH_WITHIN_S)
        workers = [
            _task(notifier.run()),
            _task(notifier.keep_position()),
            _task(notifier.keep_contexts()),
            _task(dispatcher.sweep()),
            _task(dispatcher.measure(_COUNT_BACKLOG_EVERY_S)),
        ]
        stack.push_async_callback(_end, workers)
        yield RunningNotifier(feed, notifier, _first_failure([*writers, *workers]))


async def _finish_writing(backlog: Backlog, bookkeeping: Bookkeeping, notifier: Notifier) -> None:
    """What did not go out is stored, then the position; without MongoDB the next start repeats it from the old one."""
    try:
        async with asyncio.timeout(1.0):
            await backlog.flush()
            await notifier.store_position()
            await bookkeeping.write()
    except TimeoutError:
        log.warning("stopped without storing everything; the next start repeats some notifications")


def _first_failure(tasks: list[asyncio.Task[None]]) -> asyncio.Future[None]:
    """Done as soon as one of the tasks ends, with its exception; they are meant to run for ever."""
    failure = asyncio.get_running_loop().create_future()

    def note(task: asyncio.Task[None]) -> None:
        if not failure.done() and not task.cancelled() and (problem := task.exception()) is not None:
            failure.set_exception(problem)

    for task in tasks:
        task.add_done_callback(note)
    failure.add_done_callback(lambda done: done.exception())
    return failure


def _task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
