"""Zone sensors: people, air and temperature that follow from who is where."""

import math
from collections.abc import Iterator
from random import Random
from typing import Final

from pilots.campus.simulator.clock import Clock
from pilots.campus.simulator.devices import SENSORS, zone_measure
from pilots.campus.simulator.journeys import DAY_S, Passage, Screening, Step
from pilots.campus.simulator.message import Message

INTERVAL_S: Final = 10.0
LEAST_REAL_INTERVAL_S: Final = 1.0
GATE_DWELL_S: Final = 45.0
CO2_OUTSIDE_PPM: Final = 430.0
CO2_PER_PERSON_PPM: Final = {"gate": 0.0, "hall": 2.0, "lab": 9.0, "auditorium": 6.0, "cafeteria": 7.0}
AIR_CHANGE_S: Final = 900.0


def interval_s(speed: float) -> float:
    """Seconds of the schedule between two measures: 10, but at most one a real second when played faster."""
    return max(INTERVAL_S, LEAST_REAL_INTERVAL_S * speed if math.isfinite(speed) else 60.0)


def measures(steps: list[Step], seed: str, every_s: float, clock: Clock) -> Iterator[Message]:
    """The messages of all zone sensors during one day, zone by zone; `steps` are in order of time."""
    for offset, (zone, device) in enumerate(SENSORS.items()):
        changes = list(_changes(steps, zone))
        rng = Random(f"{seed}/{device}")  # noqa: S311 - a game that must be repeatable, no secret
        # Sensors are not switched on in the same instant.
        first_s = every_s * offset / len(SENSORS)
        yield from _measures_of(zone, device, changes, rng, first_s, every_s, clock)


def _measures_of(
    zone: str, device: str, changes: list[tuple[float, int]], rng: Random, first_s: float, every_s: float, clock: Clock
) -> Iterator[Message]:
    people, position, co2 = 0, 0, CO2_OUTSIDE_PPM
    at_s = first_s
    while at_s < DAY_S:
        while position < len(changes) and changes[position][0] <= at_s:
            people += changes[position][1]
            position += 1
        target = CO2_OUTSIDE_PPM + CO2_PER_PERSON_PPM[zone] * people
        co2 += (target - co2) * min(1.0, every_s / AIR_CHANGE_S)
        values: dict[str, float | int] = {
            "t": round(_celsius(zone, at_s, people) + rng.gauss(0, 0.1), 1),
            "h": round(44 - 6 * at_s / DAY_S + people / 20 + rng.gauss(0, 0.5)),
            "co2": round(co2 + rng.gauss(0, 4)),
            "pc": people,
        }
        yield zone_measure(device, at_s, values, clock)
        at_s += every_s


def _celsius(zone: str, at_s: float, people: int) -> float:
    outside = 13 + 11 * math.sin(math.pi * at_s / DAY_S * 0.8)
    return outside if zone == "gate" else 21.5 + people / 50 + (outside - 18) / 20


def _changes(steps: list[Step], zone: str) -> Iterator[tuple[float, int]]:
    """(second, +1 or -1) whenever somebody enters or leaves this zone, in order of time."""
    changes: list[tuple[float, int]] = []
    for step in steps:
        if isinstance(step, Screening):
            if zone == "gate":
                changes += [(step.at_s - GATE_DWELL_S / 2, 1), (step.at_s + GATE_DWELL_S / 2, -1)]
        elif step.granted:
            changes += _moved(step, zone)
    return iter(sorted(changes))


def _moved(passage: Passage, zone: str) -> list[tuple[float, int]]:
    sign = 1 if passage.direction == "in" else -1
    if passage.zone == zone:
        return [(passage.at_s, sign)]
    # Who enters a room of the building leaves the open space of the building, and the other way round.
    return [(passage.at_s, -sign)] if zone == "hall" else []
