"""Devices behind Zigbee2MQTT.

Source: zigbee2mqtt.io, "MQTT topics and messages" and "Device availability": `<base>/<friendly name>` carries the state
as an object, in which values that are not known are null; `last_seen`, when it is switched on, is ISO 8601 text or
milliseconds since 1970. `<base>/<friendly name>/availability` says `{"state": "online"}` (older versions: a bare word).
"""

from datetime import datetime

from agents.errors import Empty, WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import flat, iso_instant, number, read_object, unix_instant

_UNITS = {
    "temperature": "CEL",
    "device_temperature": "CEL",
    "local_temperature": "CEL",
    "humidity": "P1",
    "soil_moisture": "P1",
    "pressure": "A97",
    "illuminance": "LUX",
    "co2": "59",
    "battery": "P1",
    "power": "WTT",
    "current": "AMP",
    "energy": "KWH",
    "pm25": "GQ",
    "pm10": "GQ",
}
"""Fields that have the same unit on every device. `voltage` has not: mV of a battery, V of the mains."""


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure; what an object holds is `outer.inner`."""
    message = read_object(payload)
    seen = message.pop("last_seen", None)
    if "illuminance_lux" in message:  # before version 2, `illuminance` is the sensor's raw number
        message["illuminance"] = message.pop("illuminance_lux")
    values = dict(flat(message))
    if not values:
        raise Empty("the message holds no value")
    units = {name: unit for name, unit in _UNITS.items() if name in values}
    return [Measure(values, None if seen is None else _instant(seen), units=units)]


def _instant(value: object) -> datetime:
    if isinstance(value, str):
        return iso_instant(value, "last_seen")
    if isinstance(value, bool):
        raise WrongShape("field last_seen is a boolean, not a time")
    milliseconds = number(value, "field last_seen")
    return unix_instant(milliseconds / 1000, "last_seen")
