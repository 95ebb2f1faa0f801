"""Devices with the firmware Tasmota.

Source: tasmota.github.io/docs, "MQTT", "Sensor payload": `tele/<device>/SENSOR` and `tele/<device>/STATE` carry an
object with `Time` (wall time of the device, with an offset only when it is told to) and an object for each sensor,
`{"DHT11": {"Temperature": 22.0, "Humidity": 40}, "TempUnit": "C"}`; `stat/<device>/RESULT` what has just changed,
without `Time`. `TempUnit`, `PressureUnit` and `SpeedUnit` hold for all sensors. A meter of several phases gives arrays.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from agents.errors import Empty, WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import MAX_FLAT_DEPTH, iso_instant, read_object

_STATED = {
    "TempUnit": {"C": "CEL", "F": "FAH"},
    "PressureUnit": {"hPa": "A97", "mmHg": "HN", "inHg": "F79"},
    "SpeedUnit": {"m/s": "MTS", "km/h": "KMH", "kn": "KNT", "mph": "HM", "ft/s": "FS", "yd/s": "M64"},
}
"""Member of the message -> how it names a unit -> its code."""

_BY_MESSAGE = {
    "Temperature": "TempUnit",
    "DewPoint": "TempUnit",
    "Pressure": "PressureUnit",
    "SeaPressure": "PressureUnit",
    "Speed": "SpeedUnit",
}
"""Quantities whose unit the message states."""

_UNITS = {
    "Humidity": "P1",
    "CarbonDioxide": "59",
    "eCO2": "59",
    "TVOC": "61",
    "Illuminance": "LUX",
    "Voltage": "VLT",
    "Current": "AMP",
    "Frequency": "HTZ",
    "Power": "WTT",
    "ApparentPower": "D46",
    "ReactivePower": "D44",
    "Total": "KWH",
    "Today": "KWH",
    "Yesterday": "KWH",
    "Moisture": "P1",
    "Distance": "CMT",
    "PM2.5": "GQ",
    "PM10": "GQ",
}
"""Quantities that have the same unit on every sensor."""

_NOT_THE_ROOM = ("ESP32", "ZbReceived")
"""The chip's own temperature, and devices of a Zigbee network behind this one: they keep their full names."""


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure. A quantity has its own name, and `<sensor>.<name>` where several sensors have it."""
    message = read_object(payload)
    observed_at = iso_instant(message.pop("Time"), "Time") if "Time" in message else None
    stated = {name: _code(message.pop(name), name) for name in _STATED if name in message}
    others = {name: message.pop(name) for name in _NOT_THE_ROOM if name in message}
    items = list(_items(message))
    counts = Counter(item.quantity for item in items)
    named = [(item.quantity if counts[item.quantity] == 1 else item.full_name, item) for item in items]
    named += [(item.full_name, item) for item in _items(others)]
    named = [(name, item) for name, item in named if item.value is not None]
    if not named:
        raise Empty("the message holds no value")
    values = {name: item.value for name, item in named}
    units = {name: unit for name, item in named if (unit := _unit(item.quantity, stated)) is not None}
    return [Measure(values, observed_at, units=units)]


class _Item(NamedTuple):
    sensor: str
    quantity: str
    value: object

    @property
    def full_name(self) -> str:
        return f"{self.sensor}.{self.quantity}" if self.sensor else self.quantity


def _items(section: Mapping[str, object], sensor: str = "", depth: int = MAX_FLAT_DEPTH) -> Iterator[_Item]:
    """Everything with a name, null as well: a sensor that fails is still there. Members of an array have numbers."""
    for name, value in section.items():
        if isinstance(value, dict) and depth > 1:
            yield from _items(value, f"{sensor}.{name}" if sensor else name, depth - 1)
        elif isinstance(value, list):
            yield from (_Item(sensor, f"{name}{number}", item) for number, item in enumerate(value, 1))
        else:
            yield _Item(sensor, name, value)


def _code(value: object, name: str) -> str:
    known = _STATED[name]
    if not isinstance(value, str) or value not in known:
        raise WrongShape(f"field {name} is none of {', '.join(known)}")
    return known[value]


def _unit(quantity: str, stated: Mapping[str, str]) -> str | None:
    if quantity not in _UNITS:
        quantity = quantity.rstrip("0123456789")
    return stated.get(_BY_MESSAGE[quantity]) if quantity in _BY_MESSAGE else _UNITS.get(quantity)
