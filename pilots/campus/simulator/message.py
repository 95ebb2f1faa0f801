"""One MQTT message of the simulation, and the kinds of dirt that may stick to it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["thermal camera", "door controller", "visitor reader", "zone sensor", "unknown device"]
Dirt = Literal["duplicate", "late", "out of order", "wrong clock", "unknown device", "truncated", "withheld"]


@dataclass(frozen=True, slots=True)
class Message:
    """What a device says at a second of the schedule; `withheld` ones are never sent (the device is silent)."""

    at_s: float
    device: str
    kind: Kind
    topic: str
    payload: bytes
    dirt: Dirt | None = None
