"""The dirt of reality: what networks and devices do to a clean day. Every access still arrives, sooner or later."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from pilots.campus.simulator.clock import Clock, Skew
from pilots.campus.simulator.devices import (
    APIKEY,
    CAMERAS,
    SENSORS,
    VISITOR_READERS,
    body_temperature,
    door_event,
    visitor_access,
    zone_measure,
)
from pilots.campus.simulator.journeys import DAY_S, HOUR_S, Passage, Screening
from pilots.campus.simulator.message import Message
from pilots.campus.simulator.roster import Person

RATES: Final = {"duplicate": 0.01, "late": 0.005, "out of order": 0.005, "truncated": 0.004, "unknown device": 0.003}
SILENCE_REAL_S: Final = 120.0
STRANGER: Final = Person(0, "employee", "Unknown", "8165538", "hall")


@dataclass(frozen=True, slots=True)
class Silence:
    """A device that says nothing between two times of the schedule."""

    device: str
    begin_s: float
    end_s: float


def wrong_clock(rng: Random) -> Skew:
    """One camera or sensor whose clock is some minutes off for an hour or two."""
    device = rng.choice([CAMERAS[1], SENSORS["lab"], SENSORS["auditorium"]])
    begin = rng.uniform(1.0, 8.0) * HOUR_S
    error = rng.choice([-1, 1]) * rng.uniform(60, 240)
    return Skew(device, begin, begin + rng.uniform(1.0, 2.0) * HOUR_S, error)


def silences(rng: Random, speed: float) -> list[Silence]:
    """A visitor reader and a zone sensor that fall silent: long enough to be noticed at this speed."""
    length_s = min(max(0.75 * HOUR_S, SILENCE_REAL_S * speed), DAY_S / 4)
    devices = [rng.choice(list(VISITOR_READERS.values())), rng.choice([SENSORS["hall"], SENSORS["cafeteria"]])]
    begins = [rng.uniform(1.5, 5.0) * HOUR_S for _ in devices]
    return [Silence(device, begin, begin + length_s) for device, begin in zip(devices, begins, strict=True)]


def soiled(messages: list[Message], rng: Random, clock: Clock, quiet: list[Silence]) -> list[Message]:
    """The messages of a day as they really arrive; in order of sending."""
    hushed = [_hushed(message, quiet) for message in messages]
    swapped = _swapped(hushed, rng)
    mishaps: dict[str, Callable[[Message], list[Message]]] = {
        "duplicate": lambda message: [message, _copy(message, rng.uniform(0, 20), "duplicate")],
        "late": lambda message: [_copy(message, rng.uniform(120, 900), "late")],
        "truncated": lambda message: _truncated(message, rng),
        "unknown device": lambda message: [message, _stranger(message.at_s, rng, clock)],
    }
    dirty = [piece for message in swapped for piece in _mishap(message, mishaps, rng)]
    return sorted(dirty, key=lambda message: message.at_s)


def _hushed(message: Message, quiet: list[Silence]) -> Message:
    """A silent badge reader keeps its access messages and sends them later; measures and heartbeats are lost."""
    for silence in quiet:
        if message.device == silence.device and silence.begin_s <= message.at_s < silence.end_s:
            if b'"access"' in message.payload:
                return replace(message, at_s=silence.end_s + (message.at_s - silence.begin_s) / 1000, dirt="late")
            return replace(message, dirt="withheld")
    return message


def _swapped(messages: list[Message], rng: Random) -> list[Message]:
    """Exchange the times of sending of two consecutive messages of one device now and then."""
    arranged = list(messages)
    latest: dict[str, int] = {}
    for index, message in enumerate(messages):
        before = latest.get(message.device)
        if (
            before is not None
            and rng.random() < RATES["out of order"]
            and arranged[before].dirt is message.dirt is None
        ):
            arranged[before] = replace(arranged[before], at_s=message.at_s, dirt="out of order")
            arranged[index] = replace(message, at_s=messages[before].at_s, dirt="out of order")
        latest[message.device] = index
    return arranged


def _mishap(message: Message, mishaps: dict[str, Callable[[Message], list[Message]]], rng: Random) -> Iterator[Message]:
    chance = rng.random()
    if message.dirt is None:
        for name, happen in mishaps.items():
            if chance < RATES[name]:
                yield from happen(message)
                return
            chance -= RATES[name]
    yield message


def _copy(message: Message, delay_s: float, dirt: str) -> Message:
    assert dirt in ("duplicate", "late")
    return replace(message, at_s=message.at_s + delay_s, dirt="duplicate" if dirt == "duplicate" else "late")


def _truncated(message: Message, rng: Random) -> list[Message]:
    """A message cut on its way; the device sends it again after a moment."""
    cut = message.payload[: rng.randrange(1, len(message.payload))]
    return [replace(message, payload=cut, dirt="truncated"), replace(message, at_s=message.at_s + 2)]


def _stranger(at_s: float, rng: Random, clock: Clock) -> Message:
    """Something plausible from a device that nobody has provisioned."""
    choices: list[Callable[[], Message]] = [
        lambda: zone_measure(f"zs-{rng.randrange(900, 999)}", at_s, {"t": 21.0, "h": 40}, clock),
        lambda: body_temperature(Screening(at_s, STRANGER, 36.5), "cam-depot", 1, clock),
        lambda: door_event(Passage(at_s, STRANGER, "hall", "in"), 1, clock, controller="303986753"),
        lambda: replace(
            visitor_access(Passage(at_s, STRANGER, "hall", "in"), clock), topic=f"esp-rfid/{APIKEY}-depot/send"
        ),
    ]
    message = rng.choice(choices)()
    return replace(message, device="unknown", kind="unknown device", dirt="unknown device")
