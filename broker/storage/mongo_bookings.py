"""What became of a subscription's notifications, in the sub-document `delivery` of its document.

{timesSent, timesFailed, lastNotification, lastSuccess, lastFailure, state: "ok" | "failed", consecutiveFailures?,
 nextAttemptAt?, lastError?, due?, ended?: {at, reason}, attempts: [{at, ms, entities, code?, error?}]}
`due` is the next moment of a timeInterval, `ended` why the notifier has paused the subscription. `attempts` has the
last ones, oldest first. Written by update operators only, so that nothing else of the document is touched.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pymongo import UpdateOne

ATTEMPTS_MAX = 20
"""How many attempts are kept for each subscription."""


class Attempt(NamedTuple):
    """One attempt to deliver: when it ended (system timestamp), how long it took, how it ended."""

    at: str
    duration_ms: float
    entity_count: int
    code: int | None = None
    error: str | None = None


@dataclass(slots=True)
class Booking:
    """What happened to a subscription's notifications since the last booking.

    `facts` has the members of the sub-document `delivery` to set (None removes one), `attempts` the last ones.
    """

    sent_count: int = 0
    failed_count: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=ATTEMPTS_MAX))


def booked(subscription: str, booking: Booking) -> UpdateOne:
    """The write of a booking; it passes over a subscription that is gone."""
    update: dict[str, Any] = {}
    counts = {"delivery.timesSent": booking.sent_count, "delivery.timesFailed": booking.failed_count}
    if any(counts.values()):
        update["$inc"] = {name: count for name, count in counts.items() if count}
    if facts := {f"delivery.{name}": fact for name, fact in booking.facts.items() if fact is not None}:
        update["$set"] = facts
    if gone := {f"delivery.{name}": "" for name, fact in booking.facts.items() if fact is None}:
        update["$unset"] = gone
    if booking.attempts:
        each = [_document(attempt) for attempt in booking.attempts]
        update["$push"] = {"delivery.attempts": {"$each": each, "$slice": -ATTEMPTS_MAX}}
    return UpdateOne({"_id": subscription}, update)


def _document(attempt: Attempt) -> dict[str, Any]:
    written: dict[str, Any] = {"at": attempt.at, "ms": attempt.duration_ms, "entities": attempt.entity_count}
    if attempt.code is not None:
        written["code"] = attempt.code
    if attempt.error is not None:
        written["error"] = attempt.error
    return written
