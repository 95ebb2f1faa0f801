"""S6: the updates of S2 while one subscription matches all of them, until every notification is delivered."""

from __future__ import annotations

from tests.bench.scenario import WARM_UP_S, Outcome, Scenario, http_load
from tests.bench.scenarios.update import script
from tests.end_to_end.city import City
from tests.waiting import until_sync

DRAINED_WITHIN_S = 60


def run(city: City, seconds: float) -> Outcome:
    """Updates per second from the first notification to the last."""
    subscription = city.subscribe("ThermalCamera")
    city.record.clear()
    try:
        answered = http_load(city, script(), seconds)
        updates = answered.requests - answered.failed
        lost = _lost(city, updates)
    finally:
        city.api("DELETE", f"/subscriptions/{subscription}")
    times = [received for arrivals in city.record.arrivals().values() for _, received in arrivals.first]
    duration_s = (max(times) - min(times)) / 1e9
    problems = [f"{answered.failed} requests failed"] * bool(answered.failed) + [f"{lost} lost"] * bool(lost)
    return Outcome(updates / duration_s, answered.p50_ms, answered.p99_ms, ", ".join(problems))


def _lost(city: City, updates: int) -> int:
    """Updates acknowledged but not notified in time; those cut off by the end of the load may arrive or not."""

    def delivered() -> int:
        return sum(len(arrivals.seen) for arrivals in city.record.arrivals().values())

    try:
        until_sync(lambda: city.record.lines() >= updates, DRAINED_WITHIN_S, every_s=0.05)
        until_sync(lambda: delivered() >= updates, within_s=5, every_s=0.5)
    except AssertionError:
        return updates - delivered()
    return 0


SCENARIO = Scenario(
    "S6", "S2 with a subscription", "updates/s", run, lambda city: run(city, WARM_UP_S), floor="F1", factor=0.3
)
