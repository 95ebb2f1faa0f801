"""Bluetooth advertisements as OpenMQTTGateway and Theengs Gateway publish them.

Source: docs.openmqttgateway.com, "BLE gateway", and decoder.theengs.io: `<base>/<gateway>/BTtoMQTT/<MAC>` carries an
object with `id` (the MAC address), `rssi` in dBm, `distance` in metres, `model`, and what the model says: `uuid`,
`major`, `minor` and `txpower` of an iBeacon. Addresses change, and belong to somebody: of an iBeacon nothing but its
three numbers tells which it is. Other models are sensors; `tempc`, `hum`, `batt`, `volt` and the like are their fields.
"""

import re
from datetime import datetime

from agents.errors import WrongShape
from agents.measure import FOREIGN, Measure, TopicParts
from agents.protocols.base import integer, number, read_object, text

_UUID = re.compile(r"[0-9a-f]{32}")
_MAX_NUMBER = 0xFFFF

_UNITS = {
    "rssi": "DBM",
    "distance": "MTR",
    "tempc": "CEL",
    "tempf": "FAH",
    "hum": "P1",
    "batt": "P1",
    "volt": "VLT",
    "lux": "LUX",
    "pres": "A97",
    "co2": "59",
    "moi": "P1",
    "pm25": "GQ",
    "pm10": "GQ",
}
"""Fields with a unit, and its code."""

_LEFT_BEHIND = frozenset({"id", "mac", "name", "mac_type", "manufacturerdata", "servicedata", "servicedatauuid"})
"""What tells who carries it, or repeats the advertisement as it came."""


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure: kind `beacon` with rssi, distance and txpower; `sensor` with whatever the model says.

    `key` tells which it is: `<uuid>-<major>-<minor>` of a beacon, the address of a sensor; `gateway` who has heard it.
    """
    message = read_object(payload)
    if message.get("presence") == "absent":  # what the gateway concludes from its silence
        return [Measure({}, kind=FOREIGN)]
    heard = {"gateway": topic["gateway"]} if "gateway" in topic else {}
    if "uuid" in message:
        key, values = _beacon_key(message), _beacon(message)
        return [Measure({**heard, "key": key, **values}, kind="beacon", units=_units(values))]
    values = {
        name: value
        for name, value in message.items()
        if name not in _LEFT_BEHIND and isinstance(value, str | int | float)
    }
    key = text(message, "id").replace(":", "").lower()
    return [Measure({**heard, "key": key, **values}, kind="sensor", units=_units(values))]


def _beacon_key(message: dict[str, object]) -> str:
    uuid = text(message, "uuid").replace("-", "").lower()
    if _UUID.fullmatch(uuid) is None:
        raise WrongShape("field uuid is not 32 hexadecimal digits")
    numbers = [integer(message, name) for name in ("major", "minor")]
    if max(numbers) > _MAX_NUMBER:
        raise WrongShape(f"field major or minor is more than {_MAX_NUMBER}")
    return "-".join((uuid, *map(str, numbers)))


def _beacon(message: dict[str, object]) -> dict[str, object]:
    return {name: number(message[name], f"field {name}") for name in ("rssi", "distance", "txpower") if name in message}


def _units(values: dict[str, object]) -> dict[str, str]:
    return {name: unit for name, unit in _UNITS.items() if name in values}
