"""The whole simulation as a list of messages: pure, and the same for the same plan."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from random import Random
from typing import Final

from pilots.campus.simulator import devices, dirt, sensors
from pilots.campus.simulator.clock import Clock
from pilots.campus.simulator.journeys import DAY_S, Screening, Step, journey
from pilots.campus.simulator.message import Message
from pilots.campus.simulator.roster import roster

HEARTBEAT_S: Final = 180.0
LEAST_REAL_HEARTBEAT_S: Final = 10.0
EVENT_IDS_PER_SECOND: Final = 64
EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played: `speed` in schedule seconds a real second (infinite: no pauses), `day_s` how much of each day."""

    seed: int
    people: int
    start: datetime
    speed: float = 1.0
    clean: bool = False
    day_s: float = DAY_S

    @property
    def clock_speed(self) -> float:
        """How fast the devices' clocks go through the schedule; played without pause they keep the schedule itself."""
        return self.speed if math.isfinite(self.speed) else 1.0


def play(plan: Plan, days: int | None = 1) -> Iterator[tuple[int, Message]]:
    """(number of the day, message) in order of sending; `days` None goes on for ever.

    Controllers count their events for ever: the ids begin at a number derived from `start` and go on from day to day.
    """
    event_ids = count(first_event_id(plan.start))
    for day in islice(count(), days):
        for message in day_messages(plan, day, event_ids):
            yield day, message


def day_messages(plan: Plan, day: int, event_ids: Iterator[int]) -> list[Message]:
    """One day in order of sending."""
    seed = f"{plan.seed}/{day}"
    rng = Random(f"{seed}/dirt")  # noqa: S311 - a game that must be repeatable, no secret
    skew = None if plan.clean else dirt.wrong_clock(rng)
    clock = Clock(plan.start + timedelta(seconds=day * plan.day_s / plan.clock_speed), plan.clock_speed, skew)
    steps = _steps(plan, seed)
    messages = [
        *_spoken(steps, seed, event_ids, clock),
        *_heartbeats(plan, clock),
        *sensors.measures(steps, seed, sensors.interval_s(plan.speed), clock),
    ]
    messages = sorted((message for message in messages if message.at_s < plan.day_s), key=lambda message: message.at_s)
    if not plan.clean:
        messages = dirt.soiled(messages, rng, clock, dirt.silences(rng, plan.clock_speed))
    # What is late at the end of the day is sent at its end, before the next one begins.
    return [replace(message, at_s=min(message.at_s, plan.day_s)) for message in messages]


def first_event_id(start: datetime) -> int:
    """Room for 64 events a real second since 2026, within the 32 bits of a controller's counter."""
    return int((start - EPOCH).total_seconds() * EVENT_IDS_PER_SECOND) % 2**31 + 1


def _steps(plan: Plan, seed: str) -> list[Step]:
    people = roster(plan.seed, plan.people)
    journeys = (journey(person, Random(f"{seed}/{person.number}")) for person in people)  # noqa: S311 - see above
    return sorted((step for steps in journeys for step in steps), key=lambda step: (step.at_s, step.person.number))


def _spoken(steps: list[Step], seed: str, event_ids: Iterator[int], clock: Clock) -> Iterator[Message]:
    rng = Random(f"{seed}/gate")  # noqa: S311 - see above
    objects = count(1)
    for step in steps:
        if isinstance(step, Screening):
            yield devices.body_temperature(step, rng.choice(devices.CAMERAS), next(objects), clock)
        elif step.person.category == "visitor":
            yield devices.visitor_access(step, clock)
        else:
            yield devices.door_event(step, next(event_ids), clock)


def _heartbeats(plan: Plan, clock: Clock) -> Iterator[Message]:
    every_s = max(HEARTBEAT_S, LEAST_REAL_HEARTBEAT_S * plan.clock_speed)
    for offset, reader in enumerate(devices.VISITOR_READERS.values()):
        for beat in range(int(plan.day_s / every_s) + 1):
            yield devices.visitor_heartbeat(reader, beat * every_s + offset, clock)
