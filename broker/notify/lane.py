"""The notifications of one subscription on their way: in memory while all is well, through MongoDB otherwise.

Direct road: a notification waits in memory at its endpoint and is sent. When the endpoint has no room, when an attempt
fails, or when one waits too long, all that have not started go to `deliveries`, and every new one follows them there
(backlog road). From there they are sent oldest first, page by page; after a failure one alone, as a probe. When the
last page has been read, the lane is on the direct road again.

Order: on both roads a notification starts only when no earlier unfinished one of the subscription has an entity in
common with it, and a page is read only when nothing of the former one is under way. While the page that may be the
last is read, new notifications wait in memory behind it, so that nothing can overtake.

When the receiver is back, a fresh notification of entities of which nothing waits does not queue behind the backlog.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import structlog

from broker.errors import StorageUnavailable
from broker.notify import metrics
from broker.notify.delivery import Delivery
from broker.notify.endpoint import Endpoint
from broker.notify.health import Health
from broker.notify.ordering import Ordering
from broker.notify.services import Services
from broker.notify.subscriber import Subscriber
from broker.notify.waiting import ENTITIES_MAX, WaitingEntities
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text

_PAGE_COUNT = 256
_COUNT_EVERY_PAGES = 16
_HELD_MAX = 200
_STORAGE_RETRY_S = 1.0

log = structlog.get_logger(__name__)


class Lane:
    """See the module. Everything runs in the event loop's thread; what does not wait cannot be interrupted."""

    def __init__(
        self, subscriber: Subscriber, endpoint: Endpoint, services: Services, *, has_backlog: bool = False
    ) -> None:
        self.subscriber = subscriber
        self.endpoint = endpoint
        self.health = Health(services.bookkeeping, services.deliveries, services.policy, subscriber.pace)
        self._services = services
        self._ordering: Ordering[Delivery] = Ordering()
        self._started: set[Delivery] = set()
        self._stored_count = 0
        self._page_finished = asyncio.Event()
        self._page_finished.set()
        self._pages_count = 0
        self._is_trimmed = False
        self._waiting = WaitingEntities()
        self._late: set[str] = set()
        # A pause that a receiver was granted holds over a restart of the notifier.
        self._is_direct = not has_backlog and self.health.is_due
        self._is_closed = False
        self._is_halted = False
        self._held: list[Delivery] | None = None
        self._drain: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether notifications wait in memory or are under way."""
        return len(self._ordering) > 0

    @property
    def is_direct(self) -> bool:
        """Whether new notifications stay in memory."""
        return self._is_direct

    def offer(self, delivery: Delivery) -> None:
        """Takes a new notification, later than all before."""
        row = delivery.row
        if self._is_direct or self._may_overtake(row.entities):
            if self.endpoint.has_room(len(row.body)):
                self._admit(delivery)
                return
            self.leave_direct_road()
        self._waiting.add(row.entities)
        if self._held is not None and len(self._held) < _HELD_MAX:
            self._held.append(delivery)
        else:
            self._store(delivery)

    def relieve(self, queued_before_s: float) -> None:
        """Leaves the direct road when a notification has waited in memory alone since before that time of the loop."""
        oldest = next((delivery for delivery in self._ordering if not delivery.is_stored), None)
        if oldest is not None and oldest.queued_at_s < queued_before_s and len(self._ordering) > len(self._started):
            self.leave_direct_road()

    def leave_direct_road(self, *, drain: bool = True) -> None:
        """Sends what has not started to `deliveries`; with `drain` it is fetched from there again."""
        if self._is_direct:
            self._is_direct = False
            self._waiting.reset({})
            for delivery in self._ordering:
                if delivery.is_stored:
                    self._waiting.add(delivery.row.entities)
        self._is_trimmed = False
        for delivery in self._ordering.withdraw_all_but(self._started):
            delivery.is_withdrawn = True
            self.endpoint.dismiss(delivery)
            if delivery.is_stored:
                self._leave_page()
            else:
                self._waiting.add(delivery.row.entities)
                self._store(delivery)
        if drain:
            self.drain()

    def drain(self) -> None:
        """Starts to send what `deliveries` has."""
        if not self._is_direct and not self._is_halted and (self._drain is None or self._drain.done()):
            self._drain = asyncio.get_running_loop().create_task(self._run_drain())

    def move(self, subscriber: Subscriber, endpoint: Endpoint) -> None:
        """Goes on with a changed subscription; what waits goes to its new endpoint, after what waited longer."""
        if endpoint is not self.endpoint:
            self.leave_direct_road()
        self.subscriber, self.endpoint = subscriber, endpoint
        if self._is_halted:
            self._is_halted = False
            self.drain()

    def halt(self) -> None:
        """Starts nothing more until `move`; what has not started goes to `deliveries`."""
        self._is_halted = True
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
        self.leave_direct_road(drain=False)
        self._store_held()

    def close(self) -> None:
        """The subscription is gone, and with it all that waits."""
        self._is_closed = True
        self.halt()

    def replay(self) -> None:
        """`deliveries` has more than is known here."""
        self.leave_direct_road()
        self._forget_waiting()

    async def attempt(self, delivery: Delivery) -> None:
        """Sends one notification and deals with the outcome."""
        endpoint, subscriber = self.endpoint, self.subscriber
        self._started.add(delivery)
        started_at_s = asyncio.get_running_loop().time()
        try:
            outcome = await self._services.send(subscriber, delivery)
        except asyncio.CancelledError:
            self._finish_undelivered(delivery)
            endpoint.dismiss(delivery)
            raise
        self.health.note(subscriber, len(delivery.row.entities), started_at_s, outcome)
        if outcome.is_delivered:
            self._delivered(delivery)
        else:
            self.leave_direct_road()
            self._finish_undelivered(delivery)
        endpoint.dismiss(delivery)
        if outcome.is_gone and await self.health.end(subscriber):
            self.halt()

    def _may_overtake(self, entities: list[str]) -> bool:
        return not self._is_halted and self.health.is_open and self._waiting.have_none(entities)

    def _admit(self, delivery: Delivery) -> None:
        self.endpoint.admit(delivery)
        if delivery.is_stored:
            self._stored_count += 1
            self._page_finished.clear()
        if self._ordering.add(delivery):
            self.endpoint.start(self, delivery)

    def _delivered(self, delivery: Delivery) -> None:
        self._started.discard(delivery)
        for later in self._ordering.finish(delivery):
            self.endpoint.start(self, later)
        if delivery.is_stored:
            self._waiting.remove(delivery.row.entities)
            self._services.backlog.drop(self.subscriber.tenant, delivery.row)
            self._leave_page()
        else:
            delivery.settle()

    def _finish_undelivered(self, delivery: Delivery) -> None:
        self._started.discard(delivery)
        self._ordering.finish(delivery)
        if delivery.is_stored:
            self._leave_page()
        else:
            self._waiting.add(delivery.row.entities)
            self._late.update(delivery.row.entities)
            self._store(delivery)

    def _leave_page(self) -> None:
        self._stored_count -= 1
        if not self._stored_count:
            self._page_finished.set()

    def _store(self, delivery: Delivery) -> None:
        if self._is_closed:
            delivery.settle()
            return
        metrics.STORED.inc()
        # What is stored while the last page is read may not be on it.
        self._store_held()
        self._services.backlog.put(self.subscriber.tenant, delivery.row, delivery.settle)

    def _store_held(self) -> None:
        held, self._held = self._held, None
        for delivery in held or ():
            self._store(delivery)

    async def _run_drain(self) -> None:
        while not self._is_direct and asyncio.current_task() is self._drain:
            await asyncio.sleep(self.health.wait_s(self.subscriber.pace.throttling_s))
            await self._page_finished.wait()
            try:
                await self._send_page()
            except StorageUnavailable as exc:
                self._store_held()
                log.warning("backlog not read", subscription=self.subscriber.id, reason=exc.detail)
                await asyncio.sleep(_STORAGE_RETRY_S)

    async def _send_page(self) -> None:
        """Reads the oldest rows and starts them; goes over to the direct road when there are no more behind them."""
        limit = 1 if self.health.is_probing or self.subscriber.pace.throttling_s else _PAGE_COUNT
        subscriber = self.subscriber
        self._held = []
        self._late.clear()
        await self._services.backlog.flush()
        if subscriber.pace.keeps_newest and not self._is_trimmed:
            await self._drop_superseded()
        rows, are_all = await self._services.deliveries.oldest(subscriber.tenant, subscriber.id, limit)
        if rows and await self._bury_old(rows[0].at):
            self._store_held()
            return
        if not are_all:
            await self._count_waiting()
        if asyncio.current_task() is not self._drain:
            return  # halted meanwhile: the driver may have swallowed the cancellation, see `broker.tasks`
        is_last = are_all and self._held is not None
        if not is_last:
            self._store_held()
        held, self._held = self._held, None
        now_s = asyncio.get_running_loop().time()
        # What failed while the page was read is not on it; later ones of its entities may be, and wait for the next.
        for row in takewhile(lambda row: self._late.isdisjoint(row.entities), rows):
            self._admit(Delivery(row, None, now_s))
        if is_last:
            self._is_direct = True
            for delivery in held or ():
                self.offer(delivery)

    async def _count_waiting(self) -> None:
        """Finds out of which entities something waits, if that is not known; now and then, as it takes time."""
        self._pages_count += 1
        if self._waiting.is_known or self._pages_count % _COUNT_EVERY_PAGES != 1:
            return
        subscriber = self.subscriber
        counts = await self._services.deliveries.entities_waiting(subscriber.tenant, subscriber.id, ENTITIES_MAX)
        if self._held is not None:
            self._waiting.reset(counts)
            for delivery in self._held:
                self._waiting.add(delivery.row.entities)

    def _forget_waiting(self) -> None:
        self._waiting.reset(None)
        self._pages_count = 0

    async def _drop_superseded(self) -> None:
        """Leaves only the newest of each entity, as the subscription wants it after an outage."""
        subscriber = self.subscriber
        self._is_trimmed = True
        if count := await self._services.deliveries.drop_superseded(subscriber.tenant, subscriber.id):
            metrics.SUPERSEDED.inc(count)
            self._forget_waiting()

    async def _bury_old(self, oldest_at: str) -> bool:
        """Makes dead letters of what is too old; False if nothing is."""
        policy = self._services.policy
        now = datetime.now(UTC)
        if not policy.is_too_old((now - moment(oldest_at)).total_seconds()):
            return False
        subscriber = self.subscriber
        limit = system_text(now - timedelta(seconds=policy.max_age_s))
        reason = policy.too_old
        count = await self._services.deliveries.bury(subscriber.tenant, subscriber.id, limit, system_text(now), reason)
        self._forget_waiting()
        metrics.DEAD_LETTERS.inc(count)
        log.warning("dead letters", subscription=subscriber.id, count=count, reason=reason)
        return count > 0
