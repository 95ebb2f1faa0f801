"""Takes each notification to the lane of its subscription, and each lane to its endpoint."""

import asyncio

import structlog

from broker.errors import StorageUnavailable
from broker.notify import load, metrics
from broker.notify.delivery import Delivery
from broker.notify.endpoint import Endpoint
from broker.notify.lane import Lane
from broker.notify.partitions import Share
from broker.notify.services import Services
from broker.notify.settings import DeliverySettings
from broker.notify.subscriber import Subscriber
from broker.notify.throttle import HeldBack
from broker.notify.timetable import Timetable

_SWEEP_S = 0.5
_PACE_S = 0.02
_PACE_ALONE_S = 0.1
_BRISK_PER_S = 300
_IN_USE_S = 10.0
_SATURATED = 0.8
_POLL_S = 0.02

log = structlog.get_logger(__name__)


class Dispatcher:
    """All lanes and endpoints.

    A subscription that has a backlog from an earlier run is not sent to before `release`: the feed may still repeat
    changes that are older than what the backlog has.
    """

    def __init__(self, services: Services, settings: DeliverySettings, share: Share) -> None:
        self._services = services
        self._settings = settings
        self._share = share
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._users: dict[str, int] = {}
        self._with_backlog: set[tuple[str, str]] = set()
        self._crowded: set[Endpoint] = set()
        self._is_released = False
        self._timetable = Timetable(services, self._lane)

    async def load(self) -> None:
        """Learns what earlier runs left of the subscriptions that are served here. Raises StorageUnavailable."""
        for key in await self._services.deliveries.waiting():
            if self._share.serves(*key):
                self.expect_backlog(*key)
        for key in await self._services.deliveries.holding():
            if self._share.serves(*key):
                self._timetable.expect_held(*key)

    def expect_backlog(self, tenant: str, subscription: str) -> None:
        """The subscription has pending rows from an earlier run."""
        self._with_backlog.add((tenant, subscription))

    def put(self, subscriber: Subscriber) -> None:
        """A subscription is there, or has changed, or goes on after a pause."""
        key = (subscriber.tenant, subscriber.id)
        lane = self._lanes.get(key)
        if lane is not None:
            former = lane.endpoint
            lane.move(subscriber, self._endpoint(subscriber.endpoint["uri"]))
            self._leave(former)
        elif key in self._with_backlog:
            self._lane(subscriber)
        self._timetable.put(subscriber)

    def pause(self, tenant: str, subscription: str) -> None:
        """A subscription is not to be sent to until `put`; what waits is kept."""
        self._timetable.pause(tenant, subscription)
        lane = self._lanes.get((tenant, subscription))
        if lane is not None:
            lane.halt()

    def replay(self, tenant: str, subscription: str, subscriber: Subscriber | None) -> None:
        """The backlog has rows that were not there before; None while the subscription is not served."""
        lane = self._lanes.get((tenant, subscription))
        if lane is not None:
            lane.replay()
            return
        self.expect_backlog(tenant, subscription)
        if subscriber is not None:
            self.put(subscriber)

    def remove(self, tenant: str, subscription: str) -> None:
        """A subscription is gone: nothing more is sent to it."""
        self._timetable.remove(tenant, subscription)
        self._with_backlog.discard((tenant, subscription))
        lane = self._lanes.pop((tenant, subscription), None)
        if lane is not None:
            lane.close()
            self._leave(lane.endpoint)

    def holder(self, subscriber: Subscriber) -> HeldBack | None:
        """Where the states go that a subscription is to be told of, if its throttling holds them back; else None."""
        return self._timetable.holder(subscriber)

    def deliver(self, subscriber: Subscriber, delivery: Delivery) -> None:
        """Sends a notification on its way; returns at once."""
        lane = self._lanes.get((subscriber.tenant, subscriber.id)) or self._lane(subscriber)
        lane.offer(delivery)
        if lane.endpoint.is_crowded:
            self._crowded.add(lane.endpoint)

    async def pace(self) -> None:
        """Holds the feed up while its events are better off where they are, in MongoDB's log, than in the backlog.

        That is so when this process itself is the bottleneck: it wants a processor all the time. And when receivers are
        but they work briskly, and no other one has to wait for them. Otherwise what does not fit into the queue of a
        slow receiver goes to the backlog, which takes more work but lets the feed go on for all others. Waits in any
        case while more is on its way to the backlog than memory should hold.
        """
        while crowded := [endpoint for endpoint in self._crowded if endpoint.is_crowded]:
            is_alone = self._all_in_use_are(crowded)
            window_s = _PACE_ALONE_S if is_alone else _PACE_S
            started = load.mark()
            finished_count = sum(endpoint.finished_count for endpoint in crowded)
            await asyncio.sleep(window_s)
            finished_count = sum(endpoint.finished_count for endpoint in crowded) - finished_count
            is_brisk = finished_count >= _BRISK_PER_S * window_s
            if load.busy_since(started) < _SATURATED and not (is_alone and is_brisk):
                break
        self._crowded.clear()
        await self._services.backlog.room()

    async def written(self) -> None:
        """Waits until `deliveries` has all that was on its way there."""
        await self._services.backlog.flush()

    def release(self) -> None:
        """The feed has caught up: what earlier runs left may be sent."""
        if self._is_released:
            return
        self._is_released = True
        for lane in self._lanes.values():
            lane.drain()
        self._timetable.release()

    async def sweep(self) -> None:
        """Keeps slow receivers from holding up the position in the feed, for ever; also measures."""
        while True:
            finished_counts = {endpoint: endpoint.finished_count for endpoint in self._endpoints.values()}
            await asyncio.sleep(_SWEEP_S)
            queued_before_s = asyncio.get_running_loop().time() - self._settings.wait_s
            for lane in list(self._lanes.values()):
                if lane.is_busy:
                    before = finished_counts.get(lane.endpoint, 0)
                    if lane.endpoint.finished_count - before < _BRISK_PER_S * _SWEEP_S:
                        lane.relieve(queued_before_s)
            metrics.ENDPOINTS_WAITING.set(sum(endpoint.waiting_count for endpoint in self._endpoints.values()))
            metrics.LANES_STORED.set(sum(not lane.is_direct for lane in self._lanes.values()))

    async def measure(self, every_s: float) -> None:
        """Counts the backlog now and then, for ever."""
        while True:
            try:
                waiting = await self._services.deliveries.waiting()
                metrics.BACKLOG.set(sum(count for key, count in waiting.items() if self._share.serves(*key)))
            except StorageUnavailable as exc:
                log.debug("backlog not counted", reason=exc.detail)
            await asyncio.sleep(every_s)

    async def stop(self, within_s: float) -> None:
        """Lets what is under way end, breaks off what does not, and leaves the rest to `deliveries`."""
        self._timetable.halt()
        for lane in self._lanes.values():
            lane.halt()
        deadline_s = asyncio.get_running_loop().time() + within_s
        while any(not endpoint.is_idle for endpoint in self._endpoints.values()) or not self._timetable.is_idle:
            if asyncio.get_running_loop().time() > deadline_s:
                break
            await asyncio.sleep(_POLL_S)
        await self._timetable.stop()
        for endpoint in self._endpoints.values():
            await endpoint.stop()

    def _all_in_use_are(self, crowded: list[Endpoint]) -> bool:
        used_after_s = asyncio.get_running_loop().time() - _IN_USE_S
        return all(endpoint in crowded for endpoint in self._endpoints.values() if endpoint.used_at_s > used_after_s)

    def _lane(self, subscriber: Subscriber) -> Lane:
        """The lane of a subscription; one that is opened for it takes up the backlog of earlier runs."""
        key = (subscriber.tenant, subscriber.id)
        lane = self._lanes.get(key)
        if lane is None:
            has_backlog = key in self._with_backlog
            self._with_backlog.discard(key)
            endpoint = self._endpoint(subscriber.endpoint["uri"])
            lane = self._lanes[key] = Lane(subscriber, endpoint, self._services, has_backlog=has_backlog)
            if self._is_released:
                lane.drain()
        return lane

    def _endpoint(self, uri: str) -> Endpoint:
        """The endpoint of a URI, with one more user."""
        self._users[uri] = self._users.get(uri, 0) + 1
        endpoint = self._endpoints.get(uri)
        if endpoint is None:
            endpoint = self._endpoints[uri] = Endpoint(
                uri,
                in_flight_count=self._settings.in_flight_count,
                queue_count=self._settings.queue_count,
                queue_bytes=self._settings.queue_bytes,
                lease=self._share.lease,
            )
        return endpoint

    def _leave(self, endpoint: Endpoint) -> None:
        self._users[endpoint.uri] -= 1
        if not self._users[endpoint.uri]:
            del self._users[endpoint.uri], self._endpoints[endpoint.uri]
