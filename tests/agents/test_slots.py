"""Agents share the slots fairly, whoever comes and goes, and each device is always of the same slot."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agents.membership import moves
from agents.slots import client_id_of, device_key, slot_of
from agents.speakers import Allowance, Speaker
from agents.storage.mongo_slots import Roll

NAMES = ("a", "b", "c")


@given(
    st.lists(st.sampled_from([*NAMES, "gone", None]), min_size=1, max_size=8),
    st.sets(st.sampled_from(NAMES), min_size=1),
)
def test_shares_become_fair_and_stay_so(holders: Sequence[str | None], alive: set[str]) -> None:
    roll = Roll(sorted(alive), [], list(holders))
    for _ in range(3):  # to give takes a round, to take what was given another
        for name in sorted(alive):
            plan = moves(roll, name, alive)
            for slot in plan.give:
                assert roll.holders[slot] == name
                roll.holders[slot] = None
            for slot, holder in plan.take.items():
                assert roll.holders[slot] == holder
                roll.holders[slot] = name
    counts = [roll.holders.count(name) for name in alive]
    assert sum(counts) == len(holders)
    assert max(counts) - min(counts) <= 1
    assert not any(plan.take or plan.give for plan in (moves(roll, name, alive) for name in alive))


def test_slots_and_session_names_never_change() -> None:
    assert [slot_of(f"city/device-{number}", 4) for number in range(6)] == [0, 2, 0, 2, 1, 3]
    assert client_id_of("medina-agent", 0, 1) == "medina-agent"
    assert client_id_of("medina-agent", 1, 2) == "medina-agent-1"


def test_all_topics_of_a_device_are_of_one_key() -> None:
    assert device_key("/json/k/d/attrs", {"apikey": "k", "device": "d"}) == "k/d"
    assert device_key("/k/d/attrs/t", {"apikey": "k", "device": "d", "attribute": "t"}) == "k/d"
    assert device_key("uhppoted/gateway/events", {}) == "uhppoted/gateway/events"


def test_an_allowance_is_a_burst_and_then_a_rate() -> None:
    allowance, speaker = Allowance(10, 5), Speaker("k", "t", {}, 0, 0)
    assert [allowance.take(speaker, 1000) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [allowance.take(speaker, 1000 + after) for after in (50, 100, 150, 200)] == [False, True, False, True]
    assert [allowance.take(speaker, 60_000) for _ in range(6)] == [True] * 5 + [False]


def allowed(allowance: Allowance, speaker: Speaker, count: int, now_ms: int, before_ms: int = 0) -> int:
    """How many of `count` messages that come through at a time are within the allowance."""
    taken = 0
    for _ in range(count):
        allowance.heard(now_ms, before_ms)
        taken += allowance.take(speaker, now_ms)
    return taken


def test_what_gathered_while_nothing_came_through_is_no_flood() -> None:
    allowance, speaker = Allowance(10, 5), Speaker("k", "t", {}, 0, 0)
    assert allowed(allowance, speaker, 100, 1_000) == 5
    assert allowed(allowance, speaker, 2_000, 101_000) == 1_000, "a hundred seconds"
    assert allowed(allowance, speaker, 100, 101_500) == 5
    assert allowed(allowance, Speaker("l", "u", {}, 0, 0), 2_000, 102_000) == 1_005, "the same and a burst"
    for now_ms in range(102_500, 260_000, 500):
        allowed(allowance, speaker, 1, now_ms)
    assert allowed(allowance, Speaker("m", "v", {}, 0, 0), 2_000, 260_000) == 5


def test_an_agent_that_starts_excuses_what_gathered_since_the_last_message_of_those_before() -> None:
    speaker = Speaker("k", "t", {}, 0, 0)
    assert allowed(Allowance(10, 5), speaker, 2_000, 101_000, before_ms=1_000) == 1_005
    assert allowed(Allowance(10, 5), Speaker("k", "t", {}, 0, 0), 2_000, 101_000) == 5


def test_stamps_of_a_device_always_grow() -> None:
    speaker = Speaker("k", "t", {}, 0, 100)
    assert [speaker.stamp(now) for now in (90, 90, 200, 199, 200)] == [101, 102, 200, 201, 202]
