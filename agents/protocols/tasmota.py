"""Devices with the firmware Tasmota.

Source: tasmota.github.io/docs, "MQTT", "Sensor payload": `tele/<device>/SENSOR` and `tele/<device>/STATE` carry an
object with `Time` (wall time of the device, with an offset only when it is told to) and an object for each sensor,
`{"DHT11": {"Temperature": 22.0, "Humidity": 40}, "TempUnit": "C"}`; `stat/<device>/RESULT` what has just changed,
without `Time`. `TempUnit`, `PressureUnit` and `SpeedUnit` hold for all sensors.
"""

from collections import Counter
from datetime import datetime

from agents.errors import Empty, WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import flat, iso_instant, read_object

_STATED = {
    "TempUnit": {"C": "CEL", "F": "FAH"},
    "PressureUnit": {"hPa": "A97", "mmHg": "HN", "inHg": "F79"},
    "SpeedUnit": {"m/s": "MTS", "km/h": "KMH", "mph": "HM"},
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
    "Illuminance": "LUX",
    "Voltage": "VLT",
    "Current": "AMP",
    "Power": "WTT",
    "ApparentPower": "D46",
    "ReactivePower": "D44",
    "Total": "KWH",
    "Today": "KWH",
    "Yesterday": "KWH",
    "Moisture": "P1",
    "PM2.5": "GQ",
    "PM10": "GQ",
}
"""Quantities that have the same unit on every sensor."""


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure. A quantity has its own name, and `<sensor>.<name>` where several sensors have it."""
    message = read_object(payload)
    observed_at = iso_instant(message.pop("Time"), "Time") if "Time" in message else None
    stated = {name: _code(message.pop(name), name) for name in _STATED if name in message}
    items = [(name.rpartition("."), value) for name, value in flat(message)]
    counts = Counter(name for (_, _, name), _ in items)
    values: dict[str, object] = {}
    units: dict[str, str] = {}
    for (sensor, dot, name), value in items:
        field = name if counts[name] == 1 else f"{sensor}{dot}{name}"
        values[field] = value
        if (unit := _unit(name, stated)) is not None:
            units[field] = unit
    if not values:
        raise Empty("the message holds no value")
    return [Measure(values, observed_at, units=units)]


def _code(value: object, name: str) -> str:
    known = _STATED[name]
    if not isinstance(value, str) or value not in known:
        raise WrongShape(f"field {name} is none of {', '.join(known)}")
    return known[value]


def _unit(name: str, stated: dict[str, str]) -> str | None:
    return stated.get(_BY_MESSAGE[name]) if name in _BY_MESSAGE else _UNITS.get(name)
