"""Follows the feed, finds the subscriptions of each change, sends the notifications and remembers how far it came."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from broker.context_supply import SuppliedContexts
from broker.errors import StorageUnavailable
from broker.notify import metrics
from broker.notify.composer import HOLD_S, Composer, State
from broker.notify.delivery import Delivery
from broker.notify.dispatcher import Dispatcher
from broker.notify.linking import Linking, Read
from broker.notify.matcher import Matcher
from broker.notify.partitions import Share
from broker.notify.progress import Progress, Ticket
from broker.notify.settings import DeliverySettings
from broker.notify.subscriber import Subscriber, subscriber
from broker.storage.mongo_compact import CompactDocument
from broker.storage.mongo_deliveries import MongoDeliveries
from broker.storage.mongo_documents import changes, entity
from broker.storage.mongo_feed import Batch, Event, MongoFeed, Position
from ngsi.changes import unroll
from ngsi.datetimes import system_text
from ngsi.errors import LdContextNotAvailable, NgsiError
from ngsi.notification_parameters import STREAM_URI
from ngsi.subscription import began_at

_EVENTS_AT_A_TIME = 32
_STORE_POSITION_S = 0.2
_STORE_IDLE_POSITION_S = 5.0
_STORAGE_RETRY_S = 1.0
_CONTEXTS_AGAIN_S = 5.0

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Known:
    """A subscription as it is stored. `is_served` is False as long as its @context cannot be had."""

    document: CompactDocument
    since: str | None
    is_served: bool = False


class Notifier:
    """The work between feed and dispatcher, for one share of the subscriptions.

    `run` is the one task that matches; no two changes are matched at once. `keep` stores the positions of partitions;
    it gives False, or raises StorageUnavailable, when it did not. `read` reads linked entities.
    """

    def __init__(
        self,
        feed: MongoFeed,
        deliveries: MongoDeliveries,
        dispatcher: Dispatcher,
        contexts: SuppliedContexts,
        settings: DeliverySettings,
        share: Share,
        keep: Callable[[Mapping[int, Position]], Awaitable[bool]],
        read: Read,
    ) -> None:
        self._feed = feed
        self._lost_count = feed.lost_count
        self._deliveries = deliveries
        self._dispatcher = dispatcher
        self._contexts = contexts
        self._settings = settings
        self._share = share
        self._keep = keep
        self._matcher = Matcher()
        self._known: dict[tuple[str, str], _Known] = {}
        self._subscribers: dict[tuple[str, str], Subscriber] = {}
        self._deleted: dict[str, dict[str, str]] = {}
        self._progress = Progress()
        self._composer = Composer()
        self._linking = Linking(read)
        self._held_send: asyncio.TimerHandle | None = None
        self._stored: Position | None = None
        self.is_following = False

    async def run(self) -> None:
        """Starts, then works through the feed, for ever."""
        try:
            await self.start()
            await self.follow()
        finally:
            if self._held_send is not None:
                self._held_send.cancel()

    async def start(self) -> None:
        """Opens the feed, then reads all subscriptions: none that is created from now on can be missed."""
        await self._feed.open(self._share.start)
        while True:
            try:
                await self._load()
            except StorageUnavailable as exc:
                log.warning("subscriptions not read", reason=exc.detail, retry_in_s=_STORAGE_RETRY_S)
                await asyncio.sleep(_STORAGE_RETRY_S)
            else:
                break
        self.is_following = True
        log.info("notifier ready", subscriptions=len(self._matcher))

    async def follow(self) -> None:
        """Works through the feed, for ever."""
        async for batch in self._feed.batches():
            ticket = self._progress.begin(batch.position)
            await self._work_through(batch, ticket)
            ticket.settle()
            metrics.EVENTS.inc(len(batch.events))
            if batch.events:
                metrics.LAG_MS.set(batch.lag_ms)
            if batch.caught_up:
                self._dispatcher.release()
            await self._dispatcher.pace()

    async def keep_position(self) -> None:
        """Stores the position that was reached, at most every 200 ms and rarely while nothing happens; for ever."""
        idle_s = 0.0
        while True:
            await asyncio.sleep(_STORE_POSITION_S)
            idle_s += _STORE_POSITION_S
            metrics.UNSETTLED.set(self._progress.unsettled)
            metrics.GAPS.inc(self._feed.lost_count - self._lost_count)
            self._lost_count = self._feed.lost_count
            if self._progress.has_news() or idle_s >= _STORE_IDLE_POSITION_S:
                idle_s = 0.0
                await self.store_position()

    def find(self, tenant: str, subscription: str) -> Subscriber | None:
        """The subscriber of a subscription, None while it is not served."""
        return self._subscribers.get((tenant, subscription))

    async def store_position(self) -> None:
        """Stores the position up to which everything is delivered or in `deliveries`."""
        reached = self._progress.reached()
        if reached is None or reached == self._stored:
            return
        try:
            if await self._keep(self._share.advanced(reached)):
                self._stored = reached
        except StorageUnavailable as exc:
            log.warning("position not stored", reason=exc.detail)

    async def keep_contexts(self) -> None:
        """Takes over @contexts that were loaded anew, and tries again those that could not be had; for ever."""
        generation = self._contexts.generation
        while True:
            await asyncio.sleep(_CONTEXTS_AGAIN_S)
            outdated = generation != self._contexts.generation
            generation = self._contexts.generation
            for key, known in list(self._known.items()):
                if outdated or not known.is_served:
                    await self._serve(key, known)

    async def _load(self) -> None:
        await self._dispatcher.load()
        async with aclosing(self._deliveries.subscriptions(self._share.serves)) as found:
            async for tenant, document in found:
                await self._put(tenant, document, since=began_at(document))

    async def _work_through(self, batch: Batch, ticket: Ticket) -> None:
        for number, event in enumerate(batch.events):
            try:
                if event.collection == "entities":
                    self._match(event, ticket)
                elif self._share.concerns(event.tenant, event.id, event.token):
                    await self._link()
                    self._composer.release(event.tenant, event.id)
                    self._send()
                    await self._subscription_event(event)
            except Exception:
                # One document that cannot be read must not stop the feed for all others.
                metrics.UNREADABLE.inc()
                log.exception("change not understood", tenant=event.tenant, collection=event.collection, id=event.id)
            if number % _EVENTS_AT_A_TIME == _EVENTS_AT_A_TIME - 1:
                await asyncio.sleep(0)
        await self._link()
        self._send()
        if self._deleted:
            await self._forget_deleted()

    def _match(self, event: Event, ticket: Ticket) -> None:
        document = event.document
        if document is None or not self._concerns_anybody(event.tenant, document):
            return
        now_s = asyncio.get_running_loop().time()
        evaluated_count = self._matcher.evaluated_count
        is_uneven = self._share.is_uneven(event.token)
        states = unroll(event.id, entity(document), changes(document))
        for number, (state, change) in enumerate(states):
            self._composer.see(change, now_s)
            matched = self._matcher.match(event.tenant, state, change)
            if matched:
                told = State(state, change, f"{event.sequence}{number:04x}", ticket)
                for criteria in matched:
                    if is_uneven and not self._share.is_news(criteria.tenant, criteria.subscription, event.token):
                        continue
                    receiver = self._subscribers[criteria.tenant, criteria.subscription]
                    if receiver.looks_further:
                        self._linking.add(receiver, told)
                    else:
                        self._tell(receiver, told)
        metrics.CANDIDATES.inc(self._matcher.evaluated_count - evaluated_count)

    def _concerns_anybody(self, tenant: str, document: Mapping[str, Any]) -> bool:
        """False when it is plain that nobody waits for what happened, nor for the rest of a request."""
        if "type" not in document or len(document["changes"]) > 1 or "parts" in document["changes"][0]:
            return True
        return self._matcher.may_concern(tenant, document["_id"], document["type"])

    async def _link(self) -> None:
        """Takes what linked entities had to be read for to the composer."""
        if len(self._linking):
            for receiver, told in await self._linking.settled():
                self._tell(receiver, told)

    def _tell(self, receiver: Subscriber, told: State) -> None:
        holder = self._dispatcher.holder(receiver)
        if holder is None:
            self._composer.add(receiver, told)
        else:
            holder.hold(told)

    def _send(self) -> None:
        """Sends what is complete; what is not, a little later at the latest."""
        now_s = asyncio.get_running_loop().time()
        made = self._composer.complete(system_text(datetime.now(UTC)), now_s)
        for receiver, row, ticket in made:
            self._dispatcher.deliver(receiver, Delivery(row, ticket, now_s))
        metrics.NOTIFICATIONS.inc(len(made))
        if self._held_send is not None:
            self._held_send.cancel()
            self._held_send = None
        if self._composer.is_holding:
            self._held_send = asyncio.get_running_loop().call_later(HOLD_S, self._send)

    async def _subscription_event(self, event: Event) -> None:
        if event.document is not None:
            await self._put(event.tenant, CompactDocument.of(event.document), since=None)
            return
        self._known.pop((event.tenant, event.id), None)
        self._matcher.remove(event.tenant, event.id)
        self._subscribers.pop((event.tenant, event.id), None)
        self._dispatcher.remove(event.tenant, event.id)
        metrics.SUBSCRIPTIONS.set(len(self._matcher))
        self._deleted.setdefault(event.tenant, {})[event.id] = event.sequence

    async def _forget_deleted(self) -> None:
        """Removes what deleted subscriptions have left, of a whole batch at once."""
        deleted, self._deleted = self._deleted, {}
        if deleted:
            await self._dispatcher.written()
        for tenant, subscriptions in deleted.items():
            try:
                await self._deliveries.forget(tenant, subscriptions)
            except StorageUnavailable as exc:
                log.warning("deliveries of deleted subscriptions not removed", tenant=tenant, reason=exc.detail)

    async def _put(self, tenant: str, document: CompactDocument, since: str | None) -> None:
        key = (tenant, str(document["_id"]))
        known = self._known[key] = _Known(document, since)
        is_served = await self._serve(key, known)
        document.forget()
        if not is_served:
            self._matcher.remove(*key)
            self._subscribers.pop(key, None)
            self._dispatcher.pause(*key)
        metrics.SUBSCRIPTIONS.set(len(self._matcher))

    async def _serve(self, key: tuple[str, str], known: _Known) -> bool:
        """Whether the subscription is served from now on; one that changed meanwhile is not.

        Nor are those that are paused, or that streams alone follow.
        """
        tenant, subscription = key
        try:
            receiver = await self._contexts.supply(
                lambda contexts: subscriber(tenant, known.document, contexts, self._settings, known.since)
            )
        except (LdContextNotAvailable, StorageUnavailable) as exc:
            log.warning("subscription waits for its @context", subscription=subscription, reason=exc.detail)
            return False
        except NgsiError as exc:
            log.error("subscription cannot be served", subscription=subscription, tenant=tenant, reason=exc.detail)  # noqa: TRY400
            receiver = None
        if self._known.get(key) is not known:
            return False
        known.is_served = True
        if receiver is None or receiver.endpoint["uri"] == STREAM_URI:
            return False
        if receiver.pace.interval_s:
            self._matcher.remove(*key)
        else:
            self._matcher.put(receiver.criteria)
        self._subscribers[key] = receiver
        self._dispatcher.put(receiver)
        return True
