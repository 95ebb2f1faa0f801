"""The notifications of one subscription on their way: in memory while all is well, through MongoDB otherwise.

Direct road: a notification waits in memory at its endpoint and is sent. When the endpoint has no room, when an attempt
fails, or when one waits too long, all that have not started go to `deliveries`, and every new one follows them there
(backlog road). From there they are sent oldest first, page by page; after a failure one alone, as a probe. When the
last page has been read, the lane is on the direct road again.

Order: on both roads a notification starts only when no earlier unfinished one of the subscription has an entity in
common with it, and a page is read only when nothing is under way. While the page that may be the last is read, new
notifications wait in memory behind it, so that nothing can overtake.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import random

import structlog

from broker.errors import StorageUnavailable
from broker.notify import metrics
from broker.notify.backlog import Backlog
from broker.notify.bookkeeping import Bookkeeping
from broker.notify.delivery import Delivery
from broker.notify.endpoint import Endpoint
from broker.notify.ordering import Ordering
from broker.notify.retry import RetryPolicy
from broker.notify.subscriber import Subscriber
from broker.notify.transports.base import Outcome, Transport
from broker.storage.mongo_deliveries import MongoDeliveries
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text

_PAGE_COUNT = 256
_HELD_MAX = 200
_STORAGE_RETRY_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Services:
    """What all lanes work with."""

    transport: Transport
    backlog: Backlog
    deliveries: MongoDeliveries
    bookkeeping: Bookkeeping
    policy: RetryPolicy


class Lane:
    """See the module. Everything runs in the event loop's thread; what does not wait cannot be interrupted."""

    def __init__(
        self, subscriber: Subscriber, endpoint: Endpoint, services: Services, *, has_backlog: bool = False
    ) -> None:
        self.subscriber = subscriber
        self.endpoint = endpoint
        self._services = services
        self._ordering: Ordering[Delivery] = Ordering()
        self._started: set[Delivery] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_direct = not has_backlog
        self._is_closed = False
        self._is_halted = False
        self._held: list[Delivery] | None = None
        self._drain: asyncio.Task[None] | None = None
        self._failures = 0
        self._failed_at_s = 0.0
        self._due_s = 0.0
        self._is_probing = False
        self._is_known_healthy = False

    @property
    def is_busy(self) -> bool:
        """Whether notifications wait in memory or are under way."""
        return not self._idle.is_set()

    @property
    def is_direct(self) -> bool:
        """Whether new notifications stay in memory."""
        return self._is_direct

    def offer(self, delivery: Delivery) -> None:
        """Takes a new notification, later than all before."""
        if self._is_direct:
            if self.endpoint.has_room(len(delivery.row.body)):
                self._admit(delivery)
                return
            self.leave_direct_road()
        if self._held is not None and len(self._held) < _HELD_MAX:
            self._held.append(delivery)
        else:
            self._store_held()
            self._store(delivery)

    def relieve(self, queued_before_s: float) -> None:
        """Leaves the direct road when a notification has waited in memory since before that time of the loop."""
        oldest = self._ordering.oldest
        if oldest is not None and oldest.queued_at_s < queued_before_s and len(self._ordering) > len(self._started):
            self.leave_direct_road()

    def leave_direct_road(self, *, drain: bool = True) -> None:
        """Sends what has not started to `deliveries`; with `drain` it is fetched from there again."""
        self._is_direct = False
        for delivery in self._ordering.withdraw_all_but(self._started):
            delivery.is_withdrawn = True
            self.endpoint.dismiss(delivery)
            if not delivery.is_stored:
                self._store(delivery)
        self._note_idle()
        if drain:
            self.drain()

    def drain(self) -> None:
        """Starts to send what `deliveries` has."""
        if not self._is_direct and (self._drain is None or self._drain.done()):
            self._drain = asyncio.get_running_loop().create_task(self._run_drain())

    def move(self, subscriber: Subscriber, endpoint: Endpoint) -> None:
        """Goes on with a changed subscription; what waits goes to its new endpoint, after what waited longer."""
        if endpoint is not self.endpoint:
            self.leave_direct_road()
        self.subscriber, self.endpoint = subscriber, endpoint

    def halt(self) -> None:
        """Starts nothing more; what has not started goes to `deliveries`, for the next start of the notifier."""
        self._is_halted = True
        if self._drain is not None:
            self._drain.cancel()
        self.leave_direct_road(drain=False)
        self._store_held()

    def close(self) -> None:
        """The subscription is gone, and with it all that waits."""
        self._is_closed = True
        self.halt()

    async def attempt(self, delivery: Delivery) -> None:
        """Sends one notification and deals with the outcome."""
        loop = asyncio.get_running_loop()
        endpoint = self.endpoint
        row = delivery.row
        self._started.add(delivery)
        delivery.started_at_s = loop.time()
        try:
            outcome = await self._services.transport.send(self.subscriber.destination(row.context, row.body), row.body)
        except asyncio.CancelledError:
            self._finish_undelivered(delivery)
            endpoint.dismiss(delivery)
            raise
        except Exception as exc:
            log.exception("transport failed", subscription=self.subscriber.id)
            outcome = Outcome(f"{type(exc).__name__}: {exc}"[:300])
        ended_at_s = loop.time()
        metrics.ATTEMPT_SECONDS.observe(ended_at_s - delivery.started_at_s)
        if outcome.is_delivered:
            self._delivered(delivery)
        else:
            self._failed(delivery, outcome, ended_at_s)
        endpoint.dismiss(delivery)

    def _admit(self, delivery: Delivery) -> None:
        self.endpoint.admit(delivery)
        self._idle.clear()
        if self._ordering.add(delivery):
            self.endpoint.start(self, delivery)

    def _delivered(self, delivery: Delivery) -> None:
        metrics.DELIVERED.inc()
        subscriber = self.subscriber
        self._services.bookkeeping.delivered(
            subscriber.tenant,
            subscriber.id,
            system_text(datetime.now(UTC)),
            was_failing=not self._is_known_healthy,
        )
        self._is_known_healthy = True
        self._is_probing = False
        self._failures = 0
        self._started.discard(delivery)
        for later in self._ordering.finish(delivery):
            self.endpoint.start(self, later)
        if delivery.is_stored:
            self._services.backlog.drop(subscriber.tenant, delivery.row)
        else:
            delivery.settle()
        self._note_idle()

    def _failed(self, delivery: Delivery, outcome: Outcome, now_s: float) -> None:
        metrics.FAILED.inc()
        # Attempts that ran side by side tell of one and the same failure.
        if delivery.started_at_s >= self._failed_at_s:
            self._failures += 1
            self._failed_at_s = now_s
            if self._failures == 1:
                log.warning("notification failed", subscription=self.subscriber.id, reason=outcome.error)
            least_s = max(outcome.retry_after_s, self.subscriber.cooldown_s)
            self._due_s = now_s + self._services.policy.delay_s(self._failures, random(), least_s)  # noqa: S311  # jitter
        self._is_known_healthy = False
        self._is_probing = not outcome.is_refusal
        self._book_failure(outcome, now_s)
        self.leave_direct_road(drain=not self._is_halted)
        self._finish_undelivered(delivery)

    def _finish_undelivered(self, delivery: Delivery) -> None:
        self._started.discard(delivery)
        self._ordering.finish(delivery)
        if not delivery.is_stored:
            self._store(delivery)
        self._note_idle()

    def _book_failure(self, outcome: Outcome, now_s: float) -> None:
        now = datetime.now(UTC)
        next_attempt = system_text(now + timedelta(seconds=max(0.0, self._due_s - now_s)))
        subscriber = self.subscriber
        self._services.bookkeeping.failed(
            subscriber.tenant, subscriber.id, system_text(now), self._failures, next_attempt, outcome.error or ""
        )

    def _store(self, delivery: Delivery) -> None:
        if self._is_closed:
            delivery.settle()
            return
        metrics.STORED.inc()
        self._services.backlog.put(self.subscriber.tenant, delivery.row, delivery.settle)

    def _store_held(self) -> None:
        held, self._held = self._held, None
        for delivery in held or ():
            self._store(delivery)

    def _note_idle(self) -> None:
        if not len(self._ordering):
            self._idle.set()

    async def _run_drain(self) -> None:
        while not self._is_direct:
            await asyncio.sleep(max(0.0, self._due_s - asyncio.get_running_loop().time()))
            await self._idle.wait()
            try:
                await self._send_page()
            except StorageUnavailable as exc:
                self._store_held()
                log.warning("backlog not read", subscription=self.subscriber.id, reason=exc.detail)
                await asyncio.sleep(_STORAGE_RETRY_S)

    async def _send_page(self) -> None:
        """Reads the oldest rows and starts them; goes over to the direct road when there are no more behind them."""
        limit = 1 if self._is_probing else _PAGE_COUNT
        subscriber = self.subscriber
        self._held = []
        await self._services.backlog.flush()
        rows, are_all = await self._services.deliveries.oldest(subscriber.tenant, subscriber.id, limit)
        if rows and await self._bury_old(rows[0].at):
            self._store_held()
            return
        is_last = are_all and self._held is not None
        if not is_last:
            self._store_held()
        held, self._held = self._held, None
        now_s = asyncio.get_running_loop().time()
        for row in rows:
            self._admit(Delivery(row, None, now_s))
        if is_last:
            self._is_direct = True
            for delivery in held or ():
                self.offer(delivery)

    async def _bury_old(self, oldest_at: str) -> bool:
        """Makes dead letters of what is too old; False if nothing is."""
        policy = self._services.policy
        now = datetime.now(UTC)
        if not policy.is_too_old((now - moment(oldest_at)).total_seconds()):
            return False
        subscriber = self.subscriber
        limit = system_text(now - timedelta(seconds=policy.max_age_s))
        reason = f"not delivered within {policy.max_age_s:g} s"
        count = await self._services.deliveries.bury(subscriber.tenant, subscriber.id, limit, system_text(now), reason)
        metrics.DEAD_LETTERS.inc(count)
        log.warning("dead letters", subscription=subscriber.id, count=count, reason=reason)
        return count > 0
