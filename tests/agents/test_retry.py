from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.retry import FIRST_DELAY_S, LONGEST_DELAY_S, LONGEST_RETRY_AFTER_S, delay_s, retry_after_s

NOW = datetime(2026, 4, 2, 8, 0, tzinfo=UTC)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pause_grows_to_a_cap_and_is_never_nothing(attempt: int, chance: float) -> None:
    pause = delay_s(attempt, chance)
    assert FIRST_DELAY_S / 2 <= pause <= LONGEST_DELAY_S
    assert delay_s(attempt + 1, chance) >= pause


@given(st.floats(0, 1e6), st.floats(0, 1, exclude_max=True))
def test_server_that_says_when_is_obeyed(asked_s: float, chance: float) -> None:
    assert delay_s(3, chance, asked_s) >= min(asked_s, LONGEST_RETRY_AFTER_S)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("2", 2),
        (" 10 ", 10),
        ("Thu, 02 Apr 2026 08:00:30 GMT", 30),
        ("Thu, 02 Apr 2026 07:00:00 GMT", 0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds
