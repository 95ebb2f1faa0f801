"""Payloads of Milesight people counters: channel, type, value (little-endian), and again until the end.

Source: see `milesight_channels`. A payload gives the same measure whether the network server decodes it with the
vendor's decoder or this module does. `…_period_…`, `people_in` and `people_out` count since the report before; totals
start anew when the device restarts.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from agents.errors import WrongShape
from agents.protocols import milesight_channels as channels
from agents.protocols.milesight_channels import Channel, Key


class Model(NamedTuple):
    """What a counter sends: its channels, and the kinds of what it sends later (none: it keeps nothing)."""

    channels: Mapping[Key, Channel]
    history: Mapping[int, Channel]


MODELS: Final = {
    "vs121": Model(channels.VS121, channels.VS121_HISTORY),
    "vs132": Model(channels.VS132, {}),
    "vs133": Model(channels.VS133, channels.VS133_HISTORY),
    "vs135": Model(channels.VS133, channels.VS133_HISTORY),
    "vs350": Model(channels.VS350, channels.VS350_HISTORY),
    "vs351": Model(channels.VS350, channels.VS350_HISTORY),
    "vs360": Model(channels.VS360, channels.VS350_HISTORY),
}
UNITS: Final = {"battery": "P1", "battery_main": "P1", "battery_node": "P1", "temperature": "CEL"}

_KEPT = (0x20, 0xCE)
_KEPT_HEAD_BYTES = 5
"""Of an entry of history: seconds since 1970, and the kind."""


def decode(payload: bytes, model: str) -> list[dict[str, object]]:
    """Return what is now, then what the device has kept of earlier times (each with `timestamp`, seconds since 1970).

    `WrongShape` names the byte that does not fit.
    """
    known, kept = MODELS[model]
    now: dict[str, object] = {}
    earlier: list[dict[str, object]] = []
    position = 0
    while position < len(payload):
        key = (payload[position], payload[position + 1] if position + 1 < len(payload) else -1)
        start = position + 2
        if key == _KEPT and kept:
            head, start = payload[start : start + _KEPT_HEAD_BYTES], start + _KEPT_HEAD_BYTES
            channel = _kept_channel(head, kept, model, position)
            earlier.append(
                {"timestamp": int.from_bytes(head[:4], "little"), **_read(channel, payload, start, position)}
            )
        elif key in known:
            channel = known[key]
            now |= _read(channel, payload, start, position)
        else:
            raise WrongShape(f"byte {position} of the payload starts no channel of a {model}")
        position = start + channel.size
    return [now, *earlier]


def _kept_channel(head: bytes, kept: Mapping[int, Channel], model: str, position: int) -> Channel:
    if len(head) < _KEPT_HEAD_BYTES:
        raise _ends_inside(position)
    if head[4] not in kept:
        raise WrongShape(f"byte {position + 6} of the payload is no kind of history of a {model}")
    return kept[head[4]]


def _read(channel: Channel, payload: bytes, start: int, position: int) -> Mapping[str, object]:
    chunk = payload[start : start + channel.size]
    if len(chunk) < channel.size:
        raise _ends_inside(position)
    return channel.read(chunk)


def _ends_inside(position: int) -> WrongShape:
    return WrongShape(f"the payload ends inside of the channel at byte {position}")
