"""Payloads of Milesight people counters: channel, type, value (little-endian), and again until the end.

Source: Milesight-IoT/SensorDecoders, README of vs121, vs133, vs135 and vs350. Fields are called as the vendor's own
decoders call them, so that a payload gives the same measure whether the network server decodes it or this module does.
`…_period_…`, `people_in` and `people_out` count since the report before; totals start anew when the device restarts.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from agents.errors import WrongShape

Fields = Mapping[str, object]
Reader = Callable[[bytes], Fields]


class Channel(NamedTuple):
    """A row: how many bytes, and what is read of them. None: however many there are says the reader."""

    size: int
    read: Reader


def _numbers(size: int, *names: str, step: float = 1, signed: bool = False) -> Channel:
    """Numbers of equal length, one after the other."""

    def read(chunk: bytes) -> Fields:
        wholes = [
            int.from_bytes(chunk[start : start + size], "little", signed=signed)
            for start in range(0, size * len(names), size)
        ]
        return {name: whole if step == 1 else round(whole * step, 3) for name, whole in zip(names, wholes, strict=True)}

    return Channel(size * len(names), read)


def _with_alarm(channel: Channel, name: str) -> Channel:
    """The same with a byte behind it that says why it is sent."""
    return Channel(channel.size + 1, lambda chunk: {**channel.read(chunk[:-1]), name: chunk[-1]})


def _occupied(chunk: bytes) -> Fields:
    """People in all, how many regions there are, and a bit for each that is occupied."""
    mask = int.from_bytes(chunk[2:4], "big")
    regions = {f"region_{number + 1}": mask >> number & 1 for number in range(min(chunk[1], 16))}
    return {"people_count_all": chunk[0], "region_count": chunk[1], **regions}


def _dwell(chunk: bytes) -> Fields:
    """How long people stay in a region, in seconds: on average, at the most."""
    region = chunk[0]
    return {
        f"region_{region}_avg_dwell": int.from_bytes(chunk[1:3], "little"),
        f"region_{region}_max_dwell": int.from_bytes(chunk[3:5], "little"),
    }


def _nothing(size: int) -> Channel:
    return Channel(size, lambda chunk: {})


_ABOUT: Final = {
    (0xFF, 0x01): _nothing(1),
    (0xFF, 0x08): _nothing(6),
    (0xFF, 0x09): _nothing(2),
    (0xFF, 0x0A): _nothing(2),
    (0xFF, 0x0B): _nothing(1),
    (0xFF, 0x0F): _nothing(1),
    (0xFF, 0x16): _nothing(8),
    (0xFF, 0x1F): _nothing(4),
    (0xFF, 0xFE): Channel(1, lambda chunk: {"reset_event": True}),
    (0xFF, 0xFF): _nothing(2),
}
"""What all of them say after a start: versions, serial number, class."""

_LINES: Final = {
    key: channel
    for line in range(1, 5)
    for key, channel in (
        ((3 * line, 0xD2), _numbers(4, f"line_{line}_total_in")),
        ((3 * line + 1, 0xD2), _numbers(4, f"line_{line}_total_out")),
        ((3 * line + 2, 0xCC), _numbers(2, f"line_{line}_period_in", f"line_{line}_period_out")),
    )
}

_TEMPERATURE = _numbers(2, "temperature", step=0.1, signed=True)
_TOTAL = _numbers(2, "total_in", "total_out")
_PERIOD = _numbers(2, "period_in", "period_out")

_VS121: Final = {
    **_ABOUT,
    (0x04, 0xC9): Channel(4, _occupied),
    (0x05, 0xCC): _numbers(2, "people_in", "people_out"),
    (0x06, 0xCD): _numbers(1, "people_count_max"),
    (0x07, 0xD5): _numbers(1, *(f"region_{number}_count" for number in range(1, 9))),
    (0x08, 0xD5): _numbers(1, *(f"region_{number}_count" for number in range(9, 17))),
    **{(0x09 + row, 0xDA): _numbers(2, *(f"{start}_to_{end}" for end in "abcd")) for row, start in enumerate("abcd")},
    (0x0D, 0xCC): _numbers(2, "people_total_in", "people_total_out"),
    (0x0E, 0xE4): Channel(5, _dwell),
    (0x0F, 0x85): _numbers(4, "timestamp"),
}
_VS133: Final = {
    **_ABOUT,
    **_LINES,
    (0x0F, 0xE3): _numbers(1, *(f"region_{number}_count" for number in range(1, 5))),
    (0x10, 0xE4): Channel(5, _dwell),
}
_VS350: Final = {
    **_ABOUT,
    (0x01, 0x75): _numbers(1, "battery"),
    (0x03, 0x67): _TEMPERATURE,
    (0x04, 0xCC): _TOTAL,
    (0x05, 0xCC): _PERIOD,
    (0x83, 0x67): _with_alarm(_TEMPERATURE, "temperature_alarm"),
    (0x84, 0xCC): _with_alarm(_TOTAL, "total_count_alarm"),
    (0x85, 0xCC): _with_alarm(_PERIOD, "period_count_alarm"),
}
_HISTORY = (0x20, 0xCE)
_HISTORY_OF_PERIODS, _HISTORY_WITH_TOTALS = 0, 1

MODELS: Final = {"vs121": _VS121, "vs133": _VS133, "vs135": _VS133, "vs350": _VS350}
UNITS: Final = {"battery": "P1", "temperature": "CEL"}


def decode(payload: bytes, model: str) -> list[dict[str, object]]:
    """Return what is now, then what the device has kept of earlier times (each with `timestamp`, seconds since 1970).

    `WrongShape` names the byte that does not fit.
    """
    channels = MODELS[model]
    now: dict[str, object] = {}
    earlier: list[dict[str, object]] = []
    position = 0
    while position < len(payload):
        key = tuple(payload[position : position + 2])
        if key == _HISTORY and model == "vs350":
            size = _history_size(payload, position)
            earlier.append(dict(_history(payload[position + 2 : position + 2 + size])))
        elif key in channels:
            size, read = channels[key]
            chunk = payload[position + 2 : position + 2 + size]
            if len(chunk) < size:
                raise WrongShape(f"the payload ends inside of the channel at byte {position}")
            now |= read(chunk)
        else:
            raise WrongShape(f"byte {position} of the payload starts no channel of a {model}")
        position += 2 + size
    return [now, *earlier]


def _history_size(payload: bytes, position: int) -> int:
    kind = payload[position + 6] if position + 6 < len(payload) else None
    size = {_HISTORY_OF_PERIODS: 9, _HISTORY_WITH_TOTALS: 13}.get(-1 if kind is None else kind)
    if size is None or position + 2 + size > len(payload):
        raise WrongShape(f"the payload ends inside of the channel at byte {position}")
    return size


def _history(chunk: bytes) -> Iterator[tuple[str, object]]:
    yield "timestamp", int.from_bytes(chunk[:4], "little")
    yield from _PERIOD.read(chunk[5:9]).items()
    if chunk[4] == _HISTORY_WITH_TOTALS:
        yield from _TOTAL.read(chunk[9:13]).items()
