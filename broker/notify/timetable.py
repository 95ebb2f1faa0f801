"""The subscriptions of this process that are told at certain moments only."""

import asyncio
from collections.abc import Callable

from broker.notify.lane import Lane
from broker.notify.periodic import Periodic
from broker.notify.services import Services
from broker.notify.subscriber import Subscriber
from broker.notify.throttle import HeldBack
from broker.notify.timed import TimedLane

_QUERIES_COUNT = 4
"""Queries for timeIntervals that run at the same time."""

_Key = tuple[str, str]
Lanes = Callable[[Subscriber], Lane]
"""Gives the lane of a subscription, and opens one where there is none."""


class Timetable:
    """Timed lanes by tenant and subscription. Nothing is sent before `release`: see Dispatcher."""

    def __init__(self, services: Services, lanes: Lanes) -> None:
        self._services = services
        self._lane_of = lanes
        self._turns = asyncio.Semaphore(_QUERIES_COUNT)
        self._expected: set[_Key] = set()
        self._holders: dict[_Key, HeldBack] = {}
        self._throttled: dict[_Key, TimedLane] = {}
        self._periodic: dict[_Key, TimedLane] = {}
        self._is_released = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return all(timed.is_idle for timed in self._all())

    def expect_held(self, tenant: str, subscription: str) -> None:
        """States of the subscription are held back since an earlier run."""
        self._expected.add((tenant, subscription))

    def put(self, subscriber: Subscriber) -> None:
        """A subscription is there, or has changed, or goes on after a pause."""
        key = (subscriber.tenant, subscriber.id)
        if key in self._expected:
            self._expected.discard(key)
            self._hold(key, subscriber, has_held=True)
        if not subscriber.pace.interval_s:
            if (former := self._periodic.pop(key, None)) is not None:
                former.halt()
        elif key not in self._periodic:
            lane = self._lane_of(subscriber)
            source = Periodic(subscriber, self._services, self._turns)
            self._periodic[key] = TimedLane(lane, source, self._services)
        for timed in self._of(key):
            self._start(timed)

    def holder(self, subscriber: Subscriber) -> HeldBack | None:
        """What holds the states back that a subscription is to be told of; None if they go out at once.

        After the end of throttling that is so when what was held has been delivered.
        """
        if not self._holders and not subscriber.pace.throttling_s:
            return None
        key = (subscriber.tenant, subscriber.id)
        found = self._holders.get(key)
        if subscriber.pace.throttling_s:
            return found or self._hold(key, subscriber, has_held=False)
        if found is not None and found.is_empty:
            del self._holders[key]
            self._throttled.pop(key).halt()
            return None
        return found

    def pause(self, tenant: str, subscription: str) -> None:
        """Nothing is sent until `put`."""
        for timed in self._of((tenant, subscription)):
            timed.halt()

    def remove(self, tenant: str, subscription: str) -> None:
        """A subscription is gone."""
        self.pause(tenant, subscription)
        key = (tenant, subscription)
        self._expected.discard(key)
        self._holders.pop(key, None)
        self._throttled.pop(key, None)
        self._periodic.pop(key, None)

    def release(self) -> None:
        """What is due may be sent from now on."""
        self._is_released = True
        for timed in self._all():
            timed.start()

    def halt(self) -> None:
        """Starts nothing more; what is under way ends."""
        for timed in self._all():
            timed.halt()

    async def stop(self) -> None:
        """Breaks off what is under way."""
        for timed in self._all():
            await timed.stop()

    def _hold(self, key: _Key, subscriber: Subscriber, *, has_held: bool) -> HeldBack:
        holder = self._holders[key] = HeldBack(*key, self._services, has_held=has_held)
        timed = TimedLane(self._lane_of(subscriber), holder, self._services)
        holder.lane = self._throttled[key] = timed
        self._start(timed)
        return holder

    def _start(self, timed: TimedLane) -> None:
        if self._is_released:
            timed.start()

    def _of(self, key: _Key) -> list[TimedLane]:
        return [lanes[key] for lanes in (self._throttled, self._periodic) if key in lanes]

    def _all(self) -> list[TimedLane]:
        return [*self._throttled.values(), *self._periodic.values()]
