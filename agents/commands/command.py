"""A command on its way to a device, and what can become of it.

    PENDING ──delivered──▶ DELIVERED ──result──▶ OK
       │                       │
       ├──refused──▶ ERROR     └──deadline──▶ EXPIRED     (from PENDING as well)

A result that comes after the deadline still makes an EXPIRED command OK: the device has done it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

from agents.specification import Target

UNKNOWN, PENDING, DELIVERED, OK, ERROR, EXPIRED = "UNKNOWN", "PENDING", "DELIVERED", "OK", "ERROR", "EXPIRED"
OPEN: Final = (PENDING, DELIVERED)

STATUS, INFO = "_status", "_info"
"""What the names of a command's two attributes end with."""
NO_INFO: Final = " "
"""The FIWARE agents' value of `<command>_info` before there is any."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0

Way = Literal["mqtt", "push", "poll"]


class Line(NamedTuple):
    """A device, as the order of its commands is kept: one after the other."""

    profile: str
    apikey: str
    device: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to the device. `to`: the topic, or the URL; nothing for a device that polls."""

    way: Way
    to: str = ""
    payload: bytes = b""
    qos: int = 1
    retain: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


class Step(NamedTuple):
    """One line of a command's history."""

    at: datetime
    status: str
    note: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `revision` counts its changes of state; `issued_at` is when the attribute was written."""

    id: str
    line: Line
    target: Target
    entity_id: str
    entity_type: str
    name: str
    dataset: str
    value: object
    message: Message
    issued_at: datetime
    deadline: datetime
    status: str = PENDING
    info: object = NO_INFO
    number: int = 0
    """Place in the order of all commands."""
    attempts_count: int = 0
    revision: int = 0
    is_cleared: bool = False
    """The attribute it was written to is ready for the next one."""
    history: Sequence[Step] = ()


class Outcome(NamedTuple):
    """What became of an attempt to send a command."""

    verdict: Literal["delivered", "answered", "refused", "later"]
    """Delivered: a result may follow; answered: `info` is it; later: nobody has taken it, so it is tried again."""
    note: str
    info: object = NO_INFO


def pause_s(attempts_count: int) -> float:
    """Return how long to wait after that many attempts: doubled each time, with a cap."""
    pause: float = min(FIRST_PAUSE_S * 2 ** min(attempts_count - 1, 16), LONGEST_PAUSE_S)
    return pause
