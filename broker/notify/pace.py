"""What a subscription says about when its notifications go out, and what of that its document remembers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text

_BACKLOG = "Backlog"
_NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Pace:
    """Durations in seconds, 0 where the subscription has none; moments are system timestamps.

    `keeps_newest`: after an outage only the newest state of each entity is wanted. `last_at` is that of the last
    attempt, `due` the next moment of a timeInterval. `failures` in a row came before; the next attempt is at
    `retry_at`, not earlier.
    """

    throttling_s: float = 0.0
    interval_s: float = 0.0
    keeps_newest: bool = False
    last_at: str | None = None
    due: str | None = None
    failures: int = 0
    retry_at: str | None = None


PLAIN: Final = Pace()
"""Of a subscription that is told of each change at once, and was never told yet."""


def pace(document: Mapping[str, Any]) -> Pace:
    """The pace of a stored subscription."""
    members = document["subscription"]
    delivery = document.get("delivery", {})
    info = members["notification"]["endpoint"].get("notifierInfo", ())
    made = Pace(
        members.get("throttling", 0.0),
        members.get("timeInterval", 0.0),
        any(pair["key"] == _BACKLOG and pair["value"] == _NEWEST for pair in info),
        delivery.get("lastNotification"),
        delivery.get("due", _first_due(document)) if "timeInterval" in members else None,
        delivery.get("consecutiveFailures", 0),
        delivery.get("nextAttemptAt"),
    )
    return PLAIN if made == PLAIN else made


def _first_due(document: Mapping[str, Any]) -> str:
    """One interval after the subscription was made, or got its timeInterval."""
    interval = timedelta(seconds=document["subscription"]["timeInterval"])
    return system_text(moment(document["modifiedAt"]) + interval)
