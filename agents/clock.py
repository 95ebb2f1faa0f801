"""When a measure was made: the device's word, unless its clock is plainly wrong.

A device time more than `FUTURE_TOLERANCE` ahead of the reception, or before `OLDEST` (a clock that was never set), is
replaced by the time of reception. Every other past time stands: the message is late, its time is right.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

FUTURE_TOLERANCE = timedelta(minutes=5)
LATE_AFTER = timedelta(minutes=5)
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)

Verdict = Literal["device", "late", "none", "future", "unset"]
"""device: taken as it is · late: taken, but old · none: the device stated no time · future, unset: replaced."""


class Observed(NamedTuple):
    """The instant of a measure (UTC), what became of the device's time, and when the measure was received."""

    at: datetime
    verdict: Verdict
    received_at: datetime


def observed(stated: datetime | None, zone: tzinfo, received_at: datetime) -> Observed:
    """Return the instant of a measure; `zone` is that of wall times stated without one."""
    if stated is None:
        return Observed(received_at, "none", received_at)
    try:
        at = (stated if stated.tzinfo else stated.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        return Observed(received_at, "unset", received_at)
    if at < OLDEST:
        return Observed(received_at, "unset", received_at)
    if at - received_at > FUTURE_TOLERANCE:
        return Observed(received_at, "future", received_at)
    return Observed(at, "late" if received_at - at > LATE_AFTER else "device", received_at)
