from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import ConfigurationError, WrongShape
from agents.pseudonyms import Pseudonyms

NOON = datetime(2026, 4, 2, 12, tzinfo=UTC)
KEY = b"0123456789abcdef"


def test_stands_for_one_badge_purpose_and_day() -> None:
    make = Pseudonyms(KEY)
    same = make.of(8165538, "access", NOON)
    assert same == make.of("8165538", "access", NOON + timedelta(hours=11))
    others = {
        make.of(8165539, "access", NOON),
        make.of(8165538, "tracing", NOON),
        make.of(8165538, "access", NOON + timedelta(days=1)),
        Pseudonyms(KEY, "settat").of(8165538, "access", NOON),
        Pseudonyms(b"fedcba9876543210").of(8165538, "access", NOON),
    }
    assert same not in others
    assert len(others) == 5


@given(st.datetimes(timezones=st.just(UTC)), st.integers(1, 366), st.integers(-400, 400))
def test_stands_for_a_badge_for_as_many_days_as_it_may(at: datetime, days: int, later: int) -> None:
    make = Pseudonyms(KEY)
    try:
        other = at + timedelta(days=later)
    except OverflowError:
        return
    same = at.toordinal() // days == other.toordinal() // days
    assert (make.of(1, "tracing", at, days) == make.of(1, "tracing", other, days)) == same
    assert days == 1 or make.of(1, "tracing", at, days) != make.of(1, "tracing", at)


def test_those_of_another_tenant_are_unrelated_and_the_same_in_every_agent() -> None:
    of_city, of_campus = Pseudonyms(KEY, "settat"), Pseudonyms(KEY, "campus")
    within = of_city.within("campus").of(8165538, "access", NOON)
    assert within == of_campus.of(8165538, "access", NOON)
    assert within != of_city.of(8165538, "access", NOON) == of_campus.within("settat").of(8165538, "access", NOON)


def test_spelling_of_a_card_does_not_matter() -> None:
    make = Pseudonyms(KEY)
    assert (
        len({make.of(card, "access", NOON) for card in ("40:a0:83:80", "40A08380", "40-a0-83-80", " 40a0 8380")}) == 1
    )


@given(st.tuples(st.text(min_size=1), st.text()), st.tuples(st.text(min_size=1), st.text()))
def test_different_inputs_have_different_pseudonyms(first: tuple[str, str], second: tuple[str, str]) -> None:
    make = Pseudonyms(KEY)

    def plain(card: str) -> str:
        return card.translate(str.maketrans("", "", " :-")).lower()

    if not plain(first[0]) or not plain(second[0]):
        return
    alike = (plain(first[0]), first[1]) == (plain(second[0]), second[1])
    assert (make.of(first[0], first[1], NOON) == make.of(second[0], second[1], NOON)) == alike


@pytest.mark.parametrize("badge", [None, True, 1.5, "", ":-", [1], {"number": 1}])
def test_what_is_no_badge_has_none(badge: object) -> None:
    with pytest.raises(WrongShape):
        Pseudonyms(KEY).of(badge, "access", NOON)


SECRET = b"2026-04-02 the key of spring....\n2026-01-01 the key of winter....\n"


def test_each_period_has_the_key_of_its_first_day() -> None:
    make, winter, spring = (
        Pseudonyms(SECRET),
        Pseudonyms(b"the key of winter...."),
        Pseudonyms(b"the key of spring...."),
    )
    eve = NOON - timedelta(days=1)
    assert make.of(1, "access", eve) == winter.of(1, "access", eve)
    assert make.of(1, "access", NOON) == spring.of(1, "access", NOON)
    # 14 days that have begun with the old key end with it.
    assert make.of(1, "tracing", NOON, 14) == winter.of(1, "tracing", NOON, 14)
    assert make.of(1, "tracing", NOON + timedelta(days=14), 14) == spring.of(
        1, "tracing", NOON + timedelta(days=14), 14
    )
    long_ago = NOON - timedelta(days=500)
    assert make.of(1, "access", long_ago) == winter.of(1, "access", long_ago)
    assert make.fingerprint(b"x") == spring.fingerprint(b"x")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"2026-13-01 a key of sixteen bytes", "<date> <key>"),
        (b"a key of sixteen bytes", "<date>"),
        (b"2026-05-01 short", "shorter"),
    ],
)
def test_line_that_cannot_be_read_is_named_without_its_key(line: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"line 3: .*{said}") as caught:
        Pseudonyms(SECRET + line)
    assert "sixteen" not in str(caught.value)
