"""Where everybody goes on one day: arrival, screening, badge, rooms, lunch, departure. Times: seconds after 07:00."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from pilots.campus.simulator.roster import Person

HOUR_S: Final = 3600.0
DAY_S: Final = 12 * HOUR_S
FIRST_HOUR: Final = 7

FEVER_RATE: Final = 0.015
MISREAD_RATE: Final = 0.007
DENIED_RATE: Final = 0.012
# Skin readings alarm mostly without reason: nine in ten second looks are normal.
FALSE_ALARM_SHARE: Final = 0.9

Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Screening:
    """One reading of a thermal camera at the gate."""

    at_s: float
    person: Person
    celsius: float


@dataclass(frozen=True, slots=True)
class Passage:
    """One badge held to the reader of a zone; `hall` is the turnstile of the building."""

    at_s: float
    person: Person
    zone: str
    direction: Direction
    granted: bool = True


Step = Screening | Passage


@dataclass(frozen=True, slots=True)
class _Stay:
    zone: str
    begin_s: float
    end_s: float


def journey(person: Person, rng: Random) -> list[Step]:
    """The day of one person in order of time; somebody turned away at the gate has screenings only."""
    arrival = _within(rng.gauss(1.5, 0.4) if person.category == "employee" else rng.gauss(2.8, 1.1), 0.1, 8.0)
    screenings, admitted = _screened(person, arrival * HOUR_S, rng)
    if not admitted:
        return list(screenings)
    entry = screenings[-1].at_s + rng.uniform(15, 45)
    departure = _departure(person, entry, rng)
    steps: list[Step] = [*screenings, *_refused(person, entry, rng), Passage(entry, person, "hall", "in")]
    for stay in _without_overlaps(_stays(person, rng), entry + 60, departure - 60):
        steps.append(Passage(stay.begin_s, person, stay.zone, "in"))
        steps.append(Passage(stay.end_s, person, stay.zone, "out"))
    steps.append(Passage(departure, person, "hall", "out"))
    return steps


def _screened(person: Person, at_s: float, rng: Random) -> tuple[list[Screening], bool]:
    chance = rng.random()
    normal = Screening(at_s, person, _within(rng.gauss(36.3, 0.3), 35.2, 37.3))
    if chance >= FEVER_RATE + MISREAD_RATE:
        return [normal], True
    again = at_s + rng.uniform(60, 120)
    if chance < MISREAD_RATE:
        odd = rng.choice([rng.uniform(22.0, 29.0), rng.uniform(45.5, 52.0)])
        return [Screening(at_s, person, odd), Screening(again, person, normal.celsius)], True
    first = Screening(at_s, person, rng.uniform(37.7, 38.9))
    admitted = rng.random() < FALSE_ALARM_SHARE
    return [first, Screening(again, person, normal.celsius if admitted else first.celsius)], admitted


def _refused(person: Person, entry_s: float, rng: Random) -> Iterator[Passage]:
    """A badge that is not accepted at once: reception renews it and the next try opens."""
    if rng.random() < DENIED_RATE:
        yield Passage(entry_s - 10, person, "hall", "in", granted=False)


def _departure(person: Person, entry_s: float, rng: Random) -> float:
    if person.category == "visitor":
        return min(entry_s + rng.uniform(0.75, 5.0) * HOUR_S, DAY_S - 600)
    return _within(rng.gauss(10.3, 0.6) * HOUR_S, entry_s + HOUR_S, DAY_S - 120)


def _stays(person: Person, rng: Random) -> Iterator[_Stay]:
    """Wishes of an employee, most important first; inner doors do not open for visitors."""
    if person.category == "visitor":
        return
    if rng.random() < 0.8:
        lunch = _within(rng.gauss(5.7, 0.4), 4.9, 6.6) * HOUR_S
        yield _Stay("cafeteria", lunch, lunch + rng.uniform(25, 45) * 60)
    if person.workplace == "lab":
        yield _Stay("lab", 0.0, 5.0 * HOUR_S + rng.uniform(0, 900))
        yield _Stay("lab", 6.3 * HOUR_S + rng.uniform(0, 1800), DAY_S)
        return
    if rng.random() < 0.6:
        begin = 3.5 * HOUR_S + rng.uniform(-600, 300)
        yield _Stay("auditorium", begin, begin + HOUR_S + rng.uniform(0, 600))
    if rng.random() < 0.4:
        coffee = rng.uniform(2.2, 3.2) * HOUR_S
        yield _Stay("cafeteria", coffee, coffee + rng.uniform(5, 15) * 60)
    if rng.random() < 0.3:
        visit = rng.uniform(7.2, 9.0) * HOUR_S
        yield _Stay("lab", visit, visit + rng.uniform(10, 40) * 60)


def _without_overlaps(wishes: Iterator[_Stay], begin_s: float, end_s: float) -> list[_Stay]:
    """Earlier wishes win: later ones are shortened to the time that is left around them, or dropped."""
    kept: list[_Stay] = []
    for wish in wishes:
        begin, end = max(wish.begin_s, begin_s), min(wish.end_s, end_s)
        for other in kept:
            if begin < other.begin_s < end:
                end = other.begin_s - 60
            elif other.begin_s <= begin < other.end_s:
                begin = other.end_s + 60
        if end - begin > 120 and all(end < other.begin_s or begin > other.end_s for other in kept):
            kept.append(_Stay(wish.zone, begin, end))
    return sorted(kept, key=lambda stay: stay.begin_s)


def _within(number: float, least: float, most: float) -> float:
    return max(least, min(most, number))
