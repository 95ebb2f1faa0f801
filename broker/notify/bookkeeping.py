"""The counters of subscriptions (clause 5.2.14): one write at a time, with all that was booked meanwhile."""

import asyncio
from collections import deque

import structlog

from broker.errors import StorageUnavailable
from broker.storage.mongo_bookings import Attempt, Booking
from broker.storage.mongo_deliveries import MongoDeliveries

_WRITES_PER_S = 20.0
_WRITES_AT_ONCE = 10.0
"""Who looks right after an attempt finds it booked; thousands of attempts a second cost twenty writes."""

log = structlog.get_logger(__name__)


class Bookkeeping:
    """Adds up what happened to each subscription and writes it. Booking never waits."""

    def __init__(self, deliveries: MongoDeliveries) -> None:
        self._deliveries = deliveries
        self._booked: dict[tuple[str, str], Booking] = {}
        self._arrived = asyncio.Event()
        self._credit = _WRITES_AT_ONCE
        self._credited_at_s = 0.0

    def delivered(self, tenant: str, subscription: str, attempt: Attempt, *, was_failing: bool) -> None:
        """An attempt that succeeded."""
        booking = self._of(tenant, subscription)
        booking.sent_count += 1
        booking.attempts.append(attempt)
        facts = booking.facts
        facts["lastNotification"] = facts["lastSuccess"] = attempt.at
        facts["state"] = "ok"
        if was_failing:
            facts |= {"consecutiveFailures": None, "nextAttemptAt": None, "lastError": None, "ended": None}

    def failed(self, tenant: str, subscription: str, attempt: Attempt, failures: int, next_attempt: str) -> None:
        """An attempt that failed, the how many-th in a row, and when the next one is due."""
        booking = self._of(tenant, subscription)
        booking.sent_count += 1
        booking.failed_count += 1
        booking.attempts.append(attempt)
        booking.facts |= {
            "lastNotification": attempt.at,
            "lastFailure": attempt.at,
            "state": "failed",
            "consecutiveFailures": failures,
            "nextAttemptAt": next_attempt,
            "lastError": attempt.error,
        }

    def due(self, tenant: str, subscription: str, due: str) -> None:
        """When a timeInterval ends next."""
        self._of(tenant, subscription).facts["due"] = due

    async def run(self) -> None:
        """Writes, for ever: the first ones at once, many that follow one another at a steady pace."""
        while True:
            await self._arrived.wait()
            await self.write()
            now_s = asyncio.get_running_loop().time()
            earned = (now_s - self._credited_at_s) * _WRITES_PER_S
            self._credit = min(_WRITES_AT_ONCE, self._credit + earned) - 1.0
            self._credited_at_s = now_s
            if self._credit < 1.0:
                await asyncio.sleep(1.0 / _WRITES_PER_S)

    async def write(self) -> None:
        """Writes what is booked; what MongoDB does not take is kept for the next time."""
        self._arrived.clear()
        booked, self._booked = self._booked, {}
        by_tenant: dict[str, list[tuple[str, Booking]]] = {}
        for (tenant, subscription), booking in booked.items():
            by_tenant.setdefault(tenant, []).append((subscription, booking))
        for tenant, bookings in by_tenant.items():
            try:
                await self._deliveries.book(tenant, bookings)
            except StorageUnavailable as exc:
                log.warning("counters not written", reason=exc.detail)
                self._keep(tenant, bookings)

    def _keep(self, tenant: str, bookings: list[tuple[str, Booking]]) -> None:
        for subscription, booking in bookings:
            newer = self._of(tenant, subscription)
            newer.sent_count += booking.sent_count
            newer.failed_count += booking.failed_count
            newer.facts = booking.facts | newer.facts
            newer.attempts = deque((*booking.attempts, *newer.attempts), newer.attempts.maxlen)

    def _of(self, tenant: str, subscription: str) -> Booking:
        booking = self._booked.get((tenant, subscription))
        if booking is None:
            booking = self._booked[tenant, subscription] = Booking()
            self._arrived.set()
        return booking
