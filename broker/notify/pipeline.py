"""The way from the feed to the receivers for one share of the partitions: put together, run and ended."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from broker.context_supply import SuppliedContexts
from broker.notify import replays
from broker.notify.backlog import Backlog
from broker.notify.bookkeeping import Bookkeeping
from broker.notify.dispatcher import Dispatcher
from broker.notify.linking import Read
from broker.notify.notifier import Notifier
from broker.notify.partitions import Share
from broker.notify.retry import RetryPolicy
from broker.notify.services import Services
from broker.notify.settings import DeliverySettings
from broker.notify.transports.base import Transport
from broker.storage.mongo_deliveries import MongoDeliveries
from broker.storage.mongo_feed import MongoFeed
from broker.storage.mongo_shares import MongoShares
from broker.tasks import end

FINISH_WITHIN_S = 3.0
_COUNT_BACKLOG_EVERY_S = 10.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Surroundings:
    """What outlives a pipeline. `name` is that of this process in the register of notifiers."""

    feed: MongoFeed
    deliveries: MongoDeliveries
    shares: MongoShares
    name: str
    transport: Transport
    contexts: SuppliedContexts
    read_linked: Read
    delivery: DeliverySettings


@dataclass(slots=True, eq=False)
class Pipeline:
    """One at work. `failure` is set when one of its tasks ends; one that is `lost` ends without a trace in MongoDB."""

    share: Share
    feed: MongoFeed
    notifier: Notifier
    failure: asyncio.Future[None]
    is_lost: bool = False


@asynccontextmanager
async def running_pipeline(surroundings: Surroundings, share: Share) -> AsyncIterator[Pipeline]:
    """Works for the partitions of the share until the block ends; what is under way is then finished or stored.

    When the partitions are lost (`Pipeline.is_lost`) it breaks off: whoever has them now repeats what was under way.
    """
    feed, deliveries = surroundings.feed, surroundings.deliveries
    backlog, bookkeeping = Backlog(deliveries, share.lease), Bookkeeping(deliveries)
    delivery = surroundings.delivery
    policy = RetryPolicy(delivery.first_retry_s, delivery.retry_cap_s, max_age_s=delivery.max_age_s)
    services = Services(surroundings.transport, backlog, deliveries, bookkeeping, policy, surroundings.read_linked)
    dispatcher = Dispatcher(services, delivery, share)
    keep = partial(surroundings.shares.store, surroundings.name)
    notifier = Notifier(
        feed, deliveries, dispatcher, surroundings.contexts, delivery, share, keep, surroundings.read_linked
    )
    writers = [_task(backlog.run()), _task(bookkeeping.run())]
    workers = [
        _task(notifier.run()),
        _task(notifier.keep_position()),
        _task(notifier.keep_contexts()),
        _task(dispatcher.sweep()),
        _task(replays.follow(deliveries, dispatcher, share, notifier.find)),
        _task(dispatcher.measure(_COUNT_BACKLOG_EVERY_S)),
    ]
    pipeline = Pipeline(share, feed, notifier, asyncio.get_running_loop().create_future())
    note_first_failure([*writers, *workers], pipeline.failure)
    try:
        yield pipeline
    finally:
        await end(workers)
        if pipeline.is_lost:
            await end(writers)
            await dispatcher.stop(0.0)
        else:
            await dispatcher.stop(FINISH_WITHIN_S)
            await _finish_writing(backlog, bookkeeping, notifier)
            await end(writers)
        await feed.close()


async def _finish_writing(backlog: Backlog, bookkeeping: Bookkeeping, notifier: Notifier) -> None:
    """What did not go out is stored, then the position; without MongoDB the next start repeats it from the old one."""
    try:
        async with asyncio.timeout(1.0):
            await backlog.flush()
            await notifier.store_position()
            await bookkeeping.write()
    except TimeoutError:
        log.warning("stopped without storing everything; the next start repeats some notifications")


def note_first_failure(tasks: list[asyncio.Task[Any]], failure: asyncio.Future[None]) -> None:
    """Sets `failure` as soon as one of the tasks fails; they are meant to run for ever."""

    def note(task: asyncio.Task[Any]) -> None:
        if not failure.done() and not task.cancelled() and (problem := task.exception()) is not None:
            failure.set_exception(problem)

    for task in tasks:
        task.add_done_callback(note)
    failure.add_done_callback(lambda done: done.exception())


def _task(work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)
