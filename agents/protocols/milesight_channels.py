"""What the channels of Milesight people counters hold: (id, type) -> how many bytes, and what is read of them.

Source: Milesight-IoT/SensorDecoders, README and decoders of vs121, vs132, vs133, vs135, vs350, vs351 and vs360. Fields
and words are those of the vendor's own decoders. A new channel is a row.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

Fields = Mapping[str, object]
Reader = Callable[[bytes], Fields]
Key = tuple[int, int]


class Channel(NamedTuple):
    """A row: how many bytes, and what is read of them."""

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


def _both(first: Channel, second: Channel) -> Channel:
    return Channel(
        first.size + second.size, lambda chunk: {**first.read(chunk[: first.size]), **second.read(chunk[first.size :])}
    )


def _word(name: str, *words: str) -> Channel:
    """A byte that stands for a word."""
    return Channel(1, lambda chunk: {name: words[chunk[0]] if chunk[0] < len(words) else "unknown"})


def _nothing(size: int) -> Channel:
    return Channel(size, lambda chunk: {})


def _occupied(chunk: bytes) -> Fields:
    """People in all, how many regions there are, and a bit for each that is occupied."""
    mask = int.from_bytes(chunk[2:4], "big")
    regions = {f"region_{number + 1}": mask >> number & 1 for number in range(min(chunk[1], 16))}
    return {"people_count_all": chunk[0], "region_count": chunk[1], **regions}


def _of_region(*names: str) -> Channel:
    """The number of a region, and how long people stay there, in seconds."""

    def read(chunk: bytes) -> Fields:
        return {f"region_{chunk[0]}_{name}": value for name, value in seconds.read(chunk[1:]).items()}

    seconds = _numbers(2, *names)
    return Channel(1 + seconds.size, read)


def _occlusion(chunk: bytes) -> Fields:
    node = f"node_{chunk[1]}" if chunk[1] else "master"
    return _word(f"{node}_occlusion_alarm", "alarm_released", "alarm_triggered").read(chunk[2:])


_SETTINGS: Final = {
    1: (
        *(0x04, 0x10, 0x27, 0x28, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x48, 0x4A, 0x50, 0x51, 0x68, 0x69, 0x6B, 0x6D),
        *(0x84, 0x97, 0xA6, 0xA8, 0xA9, 0xAA, 0xAD, 0xEC, 0xFC, 0xFD),
    ),
    2: (0x03, 0x77, 0x8F, 0xA7, 0xBD),
    3: (0x05, 0x46, 0x6A, 0x8E, 0xAB, 0xED, 0xEF),
    4: (0x11,),
    5: (0xAC,),
    6: (0x75,),
    8: (0x35, 0x96),
    9: (0x06,),
}
"""Size -> types of the answers to somebody who has changed a setting (0xFE, 0xFF)."""

_LATER_SETTINGS: Final = {
    1: (0x10, 0x11, 0x3D, 0x86, 0x87, 0x8B, 0x8C, 0x93, 0x94, 0x98, 0xA2, 0xA3),
    2: (0x85, 0x88, 0x97),
    3: (0x84, 0x92, 0x96),
    4: (0x8D, 0x8E),
    5: (0x91,),
    6: (0x90, 0x95),
    7: (0x99,),
}
"""The same of later firmware: 0xF9, and 0xF8 with a byte behind it that says whether it was taken."""

_ABOUT: Final = {
    **{(id_, type_): _nothing(size) for size, types in _SETTINGS.items() for type_ in types for id_ in (0xFE, 0xFF)},
    **{(0xF9, type_): _nothing(size) for size, types in _LATER_SETTINGS.items() for type_ in types},
    **{(0xF8, type_): _nothing(size + 1) for size, types in _LATER_SETTINGS.items() for type_ in types},
    (0xFF, 0x01): _nothing(1),
    (0xFF, 0x08): _nothing(6),
    (0xFF, 0x09): _nothing(2),
    (0xFF, 0x0A): _nothing(2),
    (0xFF, 0x0B): _nothing(1),
    (0xFF, 0x0F): _nothing(1),
    (0xFF, 0x16): _nothing(8),
    (0xFF, 0x1F): _nothing(4),
    (0xFF, 0xCC): _word("power_status", "battery supply", "external power supply", "battery charging"),
    (0xFF, 0xFE): Channel(1, lambda chunk: {"reset_event": "reset"}),
    (0xFF, 0xFF): _nothing(2),
}
"""What all of them say of themselves: versions, serial number, settings. All that is needed of it is its length."""

_PASSED: Final = _numbers(2, "people_in", "people_out")
_PASSED_IN_ALL: Final = _numbers(2, "people_total_in", "people_total_out")
_LINE: Final = _numbers(2, "line_in", "line_out")
_MOST: Final = _numbers(1, "people_count_max")
_STAY: Final = Channel(5, lambda chunk: _numbers(2, "dwell_time_avg", "dwell_time_max").read(chunk[1:]))
_WAYS: Final = [(start, end) for start in "abcd" for end in "abcd"]


def _regions(first: int, last: int) -> Channel:
    return _numbers(1, *(f"region_{number}_count" for number in range(first, last + 1)))


VS121: Final = {
    **_ABOUT,
    **{(code, 0x88): _nothing(1 + (code == 0xF8)) for code in (0xF8, 0xF9)},
    (0x04, 0xC9): Channel(4, _occupied),
    (0x05, 0xCC): _PASSED,
    (0x06, 0xCD): _MOST,
    (0x07, 0xD5): _regions(1, 8),
    (0x08, 0xD5): _regions(9, 16),
    **{
        (0x09 + row, 0xDA): _numbers(2, *(f"{start}_to_{end}" for start, end in _WAYS[4 * row : 4 * row + 4]))
        for row in range(4)
    },
    (0x0D, 0xCC): _PASSED_IN_ALL,
    (0x0E, 0xE4): _STAY,
    (0x0F, 0x85): _numbers(4, "timestamp"),
    (0x10, 0xF7): _LINE,
}
VS121_HISTORY: Final = {
    0x01: Channel(4, _occupied),
    0x02: _PASSED,
    0x03: _MOST,
    **{0x04 + part: _regions(4 * part + 1, 4 * part + 4) for part in range(4)},
    **{
        0x08 + pair: _numbers(2, *(f"{start}_to_{end}" for start, end in _WAYS[2 * pair : 2 * pair + 2]))
        for pair in range(8)
    },
    0x10: _PASSED_IN_ALL,
    0x11: _STAY,
    0x12: _LINE,
}
"""Kind of an entry of history -> what it holds."""

VS132: Final = {
    **_ABOUT,
    (0x03, 0xD2): _numbers(4, "total_counter_in"),
    (0x04, 0xD2): _numbers(4, "total_counter_out"),
    (0x05, 0xCC): _numbers(2, "periodic_counter_in", "periodic_counter_out"),
}


def _lines(first: int, who: str) -> dict[Key, Channel]:
    """Four lines, three channels each."""
    return {
        key: channel
        for line in range(1, 5)
        for key, channel in (
            ((first + 3 * line - 3, 0xD2), _numbers(4, f"line_{line}{who}_total_in")),
            ((first + 3 * line - 2, 0xD2), _numbers(4, f"line_{line}{who}_total_out")),
            ((first + 3 * line - 1, 0xCC), _numbers(2, f"line_{line}{who}_period_in", f"line_{line}{who}_period_out")),
        )
    }


_COUNTED: Final = {
    **_lines(0x03, ""),
    (0x0F, 0xE3): _numbers(1, *(f"region_{number}_count" for number in range(1, 5))),
    **_lines(0x11, "_child"),
    (0x1D, 0xE3): _numbers(1, *(f"region_{number}_child_count" for number in range(1, 5))),
}
VS133: Final = {
    **_ABOUT,
    **_COUNTED,
    (0x10, 0xE4): _of_region("avg_dwell", "max_dwell"),
    (0x1E, 0xE4): _of_region("child_avg_dwell", "child_max_dwell"),
    (0x50, 0xFC): Channel(3, _occlusion),
}
VS133_HISTORY: Final = {
    **{id_: channel for (id_, _), channel in _COUNTED.items()},
    0x10: _of_region("avg_dwell"),
    0x20: _of_region("max_dwell"),
    0x1E: _of_region("child_avg_dwell"),
    0x3C: _of_region("child_max_dwell"),
}

_TEMPERATURE: Final = _numbers(2, "temperature", step=0.1, signed=True)
_TOTAL: Final = _numbers(2, "total_in", "total_out")
_PERIOD: Final = _numbers(2, "period_in", "period_out")
_ALARMS: Final = (
    *("threshold alarm release", "threshold alarm", "unknown"),
    *("high temperature alarm", "high temperature alarm release"),
)

_GATE: Final = {
    **_ABOUT,
    (0x04, 0xCC): _TOTAL,
    (0x05, 0xCC): _PERIOD,
    (0x0A, 0xEF): _numbers(4, "timestamp"),
}
VS350: Final = {
    **_GATE,
    (0x01, 0x75): _numbers(1, "battery"),
    (0x03, 0x67): _TEMPERATURE,
    (0x81, 0xEE): _numbers(1, "current_sensitivity"),
    (0x83, 0x67): _both(_TEMPERATURE, _word("temperature_alarm", *_ALARMS)),
    (0x84, 0xCC): _both(_TOTAL, _word("total_count_alarm", *_ALARMS)),
    (0x85, 0xCC): _both(_PERIOD, _word("period_count_alarm", *_ALARMS)),
}
VS360: Final = {
    **_GATE,
    (0x01, 0x75): _numbers(1, "battery_main"),
    (0x02, 0x75): _numbers(1, "battery_node"),
    (0x03, 0xF4): _nothing(2),
    (0x84, 0xCC): _both(_TOTAL, _word("total_count_alarm", "unknown", "threshold_alarm")),
    (0x85, 0xCC): _both(_PERIOD, _word("period_count_alarm", "unknown", "threshold_alarm")),
}
VS350_HISTORY: Final = {0x00: _PERIOD, 0x01: _both(_PERIOD, _TOTAL)}
