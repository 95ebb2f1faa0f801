"""How the deliveries of one subscription fare: what the last attempt taught, when the next one is due."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import random

import structlog

from broker.errors import StorageUnavailable
from broker.notify import metrics
from broker.notify.bookkeeping import Bookkeeping
from broker.notify.pace import Pace
from broker.notify.retry import RetryPolicy
from broker.notify.subscriber import Subscriber
from broker.notify.transports.base import Outcome
from broker.storage.mongo_bookings import Attempt
from broker.storage.mongo_deliveries import MongoDeliveries
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text

_GONE = "the receiver has answered 410 Gone: it wants no more notifications"

log = structlog.get_logger(__name__)


class Health:
    """Books every attempt before anything else comes of it. Times are seconds of the event loop's clock.

    `due_s`: what failed is not tried before. `is_probing`: the receiver is away, so one notification alone is tried.
    """

    def __init__(self, bookkeeping: Bookkeeping, deliveries: MongoDeliveries, policy: RetryPolicy, pace: Pace) -> None:
        self._bookkeeping = bookkeeping
        self._deliveries = deliveries
        self._policy = policy
        self._failed_at_s = 0.0
        self._is_known_healthy = False
        self.failures = pace.failures
        self.is_probing = pace.failures > 0
        self._is_reachable = pace.failures == 0
        self._is_told_to_wait = pace.failures > 0
        self._last_s = loop_time(pace.last_at)
        self.due_s = loop_time(pace.retry_at)

    @property
    def is_due(self) -> bool:
        """Whether what failed may be tried again."""
        return self.due_s <= asyncio.get_running_loop().time()

    @property
    def is_open(self) -> bool:
        """Whether the receiver answers and has not asked for a pause; it may have refused what was sent."""
        return self._is_reachable and (not self._is_told_to_wait or self.is_due)

    def wait_s(self, throttling_s: float) -> float:
        """How long to wait before the next attempt, where two are at least `throttling_s` apart; 0 if it is due."""
        next_s = max(self.due_s, self._last_s + throttling_s) if throttling_s else self.due_s
        return max(0.0, next_s - asyncio.get_running_loop().time())

    def note(self, subscriber: Subscriber, entity_count: int, started_at_s: float, outcome: Outcome) -> None:
        """An attempt has ended."""
        ended_at_s = self._last_s = asyncio.get_running_loop().time()
        duration_s = ended_at_s - started_at_s
        metrics.ATTEMPT_SECONDS.observe(duration_s)
        at = system_text(datetime.now(UTC))
        attempt = Attempt(at, round(duration_s * 1000, 1), entity_count, outcome.code, outcome.error)
        if outcome.is_delivered:
            self._delivered(subscriber, attempt)
        else:
            self._failed(subscriber, attempt, outcome, started_at_s, ended_at_s)

    async def end(self, subscriber: Subscriber) -> bool:
        """Pauses the subscription for good, as a receiver that is gone wants it; False if that could not be stored.

        The subscription can be resumed like any other that is paused.
        """
        now = system_text(datetime.now(UTC))
        try:
            was_ended = await self._deliveries.end(
                subscriber.tenant, subscriber.id, subscriber.endpoint["uri"], now, _GONE
            )
        except StorageUnavailable as exc:
            log.warning("subscription not paused", subscription=subscriber.id, reason=exc.detail)
            return False
        if was_ended:
            log.warning("subscription paused", subscription=subscriber.id, tenant=subscriber.tenant, reason=_GONE)
        return was_ended

    def _delivered(self, subscriber: Subscriber, attempt: Attempt) -> None:
        metrics.DELIVERED.inc()
        was_failing = not self._is_known_healthy
        self._bookkeeping.delivered(subscriber.tenant, subscriber.id, attempt, was_failing=was_failing)
        self._is_known_healthy = self._is_reachable = True
        self.is_probing = False
        self.failures = 0

    def _failed(
        self, subscriber: Subscriber, attempt: Attempt, outcome: Outcome, started_at_s: float, ended_at_s: float
    ) -> None:
        metrics.FAILED.inc()
        # Attempts that ran side by side tell of one and the same failure.
        if started_at_s >= self._failed_at_s:
            self.failures += 1
            self._failed_at_s = ended_at_s
            if self.failures == 1:
                log.warning("notification failed", subscription=subscriber.id, reason=outcome.error)
            least_s = max(outcome.retry_after_s, subscriber.cooldown_s)
            self._is_told_to_wait = least_s > 0
            self.due_s = ended_at_s + self._policy.delay_s(self.failures, random(), least_s)  # noqa: S311  # jitter
        self._is_known_healthy = False
        self._is_reachable = outcome.is_refusal
        self.is_probing = not outcome.is_refusal
        pause = timedelta(seconds=max(0.0, self.due_s - ended_at_s))
        next_attempt = system_text(datetime.now(UTC) + pause)
        self._bookkeeping.failed(subscriber.tenant, subscriber.id, attempt, self.failures, next_attempt)


def loop_time(at: str | None) -> float:
    """A system timestamp in the time of the event loop; 0 for None, which has always passed."""
    if at is None:
        return 0.0
    return asyncio.get_running_loop().time() + (moment(at) - datetime.now(UTC)).total_seconds()
