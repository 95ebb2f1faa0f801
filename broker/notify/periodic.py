"""timeInterval (clause 5.2.12): a notification of all entities that match, whenever so much time has passed.

The entities are found the way queries find them. The moments stand on a grid; the next one is stored, so that one that
passes while no notifier is there is made up for once.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import floor

from broker.api.linked_query import resolved
from broker.notify.health import loop_time
from broker.notify.portions import compose, cut
from broker.notify.services import Services
from broker.notify.state import State
from broker.notify.subscriber import Subscriber
from broker.notify.timed import Portion, Source, now_text
from broker.storage.base import EntityQuery, EntitySelector
from ngsi.changes import Change
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text

_ENTITIES_MAX = 1_000_000


class Periodic(Source):
    """What a subscription with a timeInterval is told. `turns` bounds the queries that run at the same time."""

    def __init__(self, subscriber: Subscriber, services: Services, turns: asyncio.Semaphore) -> None:
        self._services = services
        self._turns = turns
        self._interval_s = subscriber.pace.interval_s
        self._due = subscriber.pace.due or now_text()

    def due_s(self, subscriber: Subscriber) -> float:
        """See Source. After a change of the interval the next moment is at most the new one away."""
        interval_s = subscriber.pace.interval_s
        if interval_s != self._interval_s:
            self._interval_s = interval_s
            self._due = min(self._due, system_text(datetime.now(UTC) + timedelta(seconds=interval_s)))
        expires_at = subscriber.criteria.expires_at
        if expires_at is not None and expires_at <= now_text():
            return float("inf")
        return loop_time(self._due)

    async def portions(self, subscriber: Subscriber) -> AsyncGenerator[Portion]:
        """See Source."""
        parts = cut(self._states(subscriber), subscriber, self._services.read_linked)
        async with aclosing(parts):
            while True:
                async with self._turns:
                    states = await anext(parts, None)
                if states is None:
                    return
                now = now_text()
                yield Portion(compose(subscriber, states, now), now, _nothing, _nothing_more)

    def complete(self, subscriber: Subscriber) -> None:
        """See Source: the next moment of the grid that is to come."""
        due = moment(self._due)
        passed = floor((datetime.now(UTC) - due).total_seconds() / self._interval_s)
        self._due = system_text(due + timedelta(seconds=(passed + 1) * self._interval_s))
        self._services.bookkeeping.due(subscriber.tenant, subscriber.id, self._due)

    async def _states(self, subscriber: Subscriber) -> AsyncGenerator[State]:
        store = self._services.deliveries.entities(subscriber.tenant)
        now = now_text()
        query = _query(subscriber, now)
        if query.q is not None:
            query = replace(query, q=await resolved(query.q, store, now))
        # The id of the notification comes from this: the same for a repetition after a crash.
        sequence = f"{self._due} "
        async with aclosing(store.find(query, offset=0, limit=_ENTITIES_MAX)) as found:
            async for entity in found:
                yield State(entity, Change("", now, "updated"), sequence)


def _query(subscriber: Subscriber, now: str) -> EntityQuery:
    criteria = subscriber.criteria
    selectors = tuple(
        EntitySelector(one.types, None if one.ids is None else tuple(one.ids), one.pattern)
        for one in criteria.selectors
    )
    if criteria.condition is None:
        return EntityQuery(now, selectors)
    filters = criteria.condition.filters()
    return EntityQuery(now, selectors, q=filters.q, geo=filters.geo, scopes=filters.scopes)


def _nothing() -> None:
    """What is found anew each time needs no keeping."""


def _nothing_more(reason: str) -> None:
    """What is found anew each time is never too old."""
