from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.clock import FUTURE_TOLERANCE, observed

NOW = datetime(2026, 4, 2, 8, 0, tzinfo=UTC)
SETTAT = ZoneInfo("Africa/Casablanca")


@pytest.mark.parametrize(
    ("stated", "at", "verdict"),
    [
        (None, NOW, "none"),
        (NOW - timedelta(seconds=1), NOW - timedelta(seconds=1), "device"),
        (NOW + timedelta(minutes=5), NOW + timedelta(minutes=5), "device"),
        (NOW + timedelta(minutes=5, seconds=1), NOW, "future"),
        (NOW - timedelta(days=3), NOW - timedelta(days=3), "late"),
        (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), NOW, "unset"),
        (datetime(2026, 4, 2, 9, 0, tzinfo=ZoneInfo("Africa/Casablanca")), NOW, "device"),
    ],
)
def test_time_of_a_measure(stated: datetime | None, at: datetime, verdict: str) -> None:
    assert observed(stated, UTC, NOW) == (at, verdict, NOW)


def test_wall_time_is_read_in_the_zone_of_the_device() -> None:
    assert observed(datetime(2026, 4, 2, 8, 59), SETTAT, NOW).at == NOW - timedelta(minutes=1)  # noqa: DTZ001
    # During Ramadan the clocks of Morocco go back to UTC.
    in_ramadan = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    assert observed(datetime(2026, 3, 2, 7, 59), SETTAT, in_ramadan).at == in_ramadan - timedelta(minutes=1)  # noqa: DTZ001


@given(st.datetimes(timezones=st.just(UTC) | st.none()))
def test_no_time_is_far_ahead_of_the_reception(stated: datetime) -> None:
    seen = observed(stated, SETTAT, NOW)
    assert seen.at.tzinfo is UTC
    assert seen.at - NOW <= FUTURE_TOLERANCE
    assert seen.verdict in ("device", "late") or seen.at == NOW
