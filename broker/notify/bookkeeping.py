"""The counters of subscriptions (clause 5.2.14): one write at a time, with all that was booked meanwhile."""

import asyncio

import structlog

from broker.errors import StorageUnavailable
from broker.storage.mongo_deliveries import Booking, MongoDeliveries

_REST_S = 0.05
"""Pause between writes: a lone attempt is booked at once, thousands a second cost twenty writes."""

log = structlog.get_logger(__name__)


class Bookkeeping:
    """Adds up what happened to each subscription and writes it. Booking never waits."""

    def __init__(self, deliveries: MongoDeliveries) -> None:
        self._deliveries = deliveries
        self._booked: dict[tuple[str, str], Booking] = {}
        self._arrived = asyncio.Event()

    def delivered(self, tenant: str, subscription: str, at: str, *, was_failing: bool) -> None:
        """An attempt that succeeded, at this system timestamp."""
        booking = self._of(tenant, subscription)
        booking.sent_count += 1
        facts = booking.facts
        facts["lastNotification"] = facts["lastSuccess"] = at
        facts["state"] = "ok"
        if was_failing:
            facts |= {"consecutiveFailures": None, "nextAttemptAt": None, "lastError": None}

    def failed(self, tenant: str, subscription: str, at: str, failures: int, next_attempt: str, error: str) -> None:
        """An attempt that failed, the how many-th in a row, and when the next one is due."""
        booking = self._of(tenant, subscription)
        booking.sent_count += 1
        booking.failed_count += 1
        booking.facts |= {
            "lastNotification": at,
            "lastFailure": at,
            "state": "failed",
            "consecutiveFailures": failures,
            "nextAttemptAt": next_attempt,
            "lastError": error,
        }

    async def run(self) -> None:
        """Writes, for ever."""
        while True:
            await self._arrived.wait()
            await self.write()
            await asyncio.sleep(_REST_S)

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

    def _of(self, tenant: str, subscription: str) -> Booking:
        booking = self._booked.get((tenant, subscription))
        if booking is None:
            booking = self._booked[tenant, subscription] = Booking()
            self._arrived.set()
        return booking
