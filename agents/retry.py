"""When to try again: decided by pure functions, slept by the caller."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 5.0
LONGEST_RETRY_AFTER_S = 60.0


def delay_s(attempt: int, chance: float, retry_after_s: float | None = None) -> float:
    """Return how long to wait before attempt + 1; `attempt` counts from 1, `chance` is from [0, 1).

    Exponential with a cap, half of it left to chance so that several agents do not come back at once. A server that
    says when to come back is obeyed, with some chance added.
    """
    if retry_after_s is not None:
        return min(retry_after_s, LONGEST_RETRY_AFTER_S) + chance * FIRST_DELAY_S
    ceiling: float = min(FIRST_DELAY_S * 2 ** min(attempt - 1, 16), LONGEST_DELAY_S)
    return ceiling * (0.5 + 0.5 * chance)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the seconds that Retry-After asks for (RFC 9110 §10.2.3: seconds or a date), None if it says nothing."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
