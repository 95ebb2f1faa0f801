"""When a failed notification is tried again: a value, decided by a pure function.

Exponential backoff with full jitter (any moment up to the exponential bound, so that the subscriptions of a receiver
that comes back do not all call at once), a cap, and the receiver's own Retry-After.
"""

from dataclasses import dataclass

_LARGEST_EXPONENT = 62


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of the waiting between attempts.

    The n-th failure in a row waits at most `first_s` * 2^(n-1), never more than `cap_s`. A Retry-After of the receiver
    is the least waiting, up to `retry_after_cap_s`. A notification older than `max_age_s` is not tried again: it
    becomes a dead letter.
    """

    first_s: float = 0.25
    cap_s: float = 60.0
    retry_after_cap_s: float = 3600.0
    max_age_s: float = 7 * 24 * 3600.0

    def delay_s(self, failures: int, jitter: float, least_s: float = 0.0) -> float:
        """Seconds until the next attempt after so many failures in a row (1 or more).

        `jitter` is a random number from 0 to 1; `least_s` is what the receiver (Retry-After) or the subscription
        (cooldown) asked for.
        """
        bound = min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, _LARGEST_EXPONENT))
        return max(jitter * bound, min(least_s, self.retry_after_cap_s))

    @property
    def too_old(self) -> str:
        """Why a notification of that age is given up."""
        return f"not delivered within {self.max_age_s:g} s"

    def is_too_old(self, age_s: float) -> bool:
        """Whether a notification of this age is given up."""
        return age_s >= self.max_age_s
