"""How well the pilot hears the context API and its notifications: what the page must admit."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

Level = Literal["connecting", "live", "behind", "down"]

BEHIND_TOLERANCE: Final = timedelta(seconds=3)


class Connection:
    """Problem of the API if there is one, time of the last notification, and whether notifications fall behind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.problem: str | None = "not tried yet"
        self.problem_since: datetime | None = None
        self.loaded = False
        self.subscribed = False
        self.last_notification: datetime | None = None
        self.behind_since: datetime | None = None
        self._up = Gauge("medina_pilot_api_up", "1 while the context API answers", registry=registry)
        self._behind = Gauge("medina_pilot_notifications_behind", "1 while the API has newer data", registry=registry)
        self.notifications = Counter("medina_pilot_notifications", "Notifications received", registry=registry)
        self.refused = Counter("medina_pilot_notifications_refused", "Notifications not understood", registry=registry)
        self.subscriptions = Counter("medina_pilot_subscriptions_created", "Subscriptions created", registry=registry)

    @property
    def level(self) -> Level:
        """One word for all of it."""
        if self.problem is not None:
            return "down" if self.loaded or self.problem_since is not None else "connecting"
        return "behind" if self.behind_since is not None else "live"

    def works(self) -> None:
        """The API answered and everything was read."""
        self.problem, self.problem_since, self.loaded = None, None, True
        self._up.set(1)

    def fails(self, problem: str, now: datetime) -> None:
        """The API did not answer, or refused."""
        self.problem, self.problem_since = problem, self.problem_since or now
        self.subscribed = False
        self._up.set(0)

    def compare(self, heard: datetime | None, stored: datetime | None, now: datetime) -> None:
        """Note whether the API has newer device messages than the notifications have brought."""
        late = stored is not None and (heard is None or stored - heard > BEHIND_TOLERANCE)
        self.behind_since = (self.behind_since or now) if late else None
        self._behind.set(1 if late else 0)

    def checks(self) -> "Readiness":
        """What /ready answers."""
        subscription = "ok" if self.subscribed else "the subscription is not confirmed"
        return Readiness(self.problem or "ok", subscription)


@dataclass(frozen=True, slots=True)
class Readiness:
    """`ok` or why not, for each thing the page needs."""

    api: str
    subscription: str

    @property
    def ready(self) -> bool:
        """Whether the page shows live data."""
        return self.api == self.subscription == "ok"
