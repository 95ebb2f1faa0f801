"""Cayenne Low Power Payload: channel, type, value (big-endian), and again until the end.

Source: developers.mydevices.com, "Cayenne Low Power Payload"; numbers beyond it are those of the IPSO Alliance, as the
decoders of ChirpStack and The Things Stack have them. A field is called `<quantity>_<channel>`, as The Things Stack and
the FIWARE agent for LoRaWAN call it.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from agents.errors import WrongShape


class Quantity(NamedTuple):
    """A row: the name, the lengths of its numbers in bytes, what one step is worth, sign, unit."""

    name: str
    sizes: tuple[int, ...]
    step: tuple[float, ...] = (1,)
    is_signed: bool = False
    unit: str | None = None
    parts: tuple[str, ...] = ()
    """Names of the numbers, where there are several."""


TYPES: Final = {
    0: Quantity("digital_in", (1,)),
    1: Quantity("digital_out", (1,)),
    2: Quantity("analog_in", (2,), (0.01,), is_signed=True),
    3: Quantity("analog_out", (2,), (0.01,), is_signed=True),
    100: Quantity("generic_sensor", (4,)),
    101: Quantity("luminosity", (2,), unit="LUX"),
    102: Quantity("presence", (1,)),
    103: Quantity("temperature", (2,), (0.1,), is_signed=True, unit="CEL"),
    104: Quantity("relative_humidity", (1,), (0.5,), unit="P1"),
    113: Quantity("accelerometer", (2, 2, 2), (0.001,) * 3, is_signed=True, parts=("x", "y", "z")),
    115: Quantity("barometric_pressure", (2,), (0.1,), unit="A97"),
    116: Quantity("voltage", (2,), (0.01,), unit="VLT"),
    117: Quantity("current", (2,), (0.001,), unit="AMP"),
    118: Quantity("frequency", (4,), unit="HTZ"),
    120: Quantity("percentage", (1,), unit="P1"),
    121: Quantity("altitude", (2,), is_signed=True, unit="MTR"),
    125: Quantity("concentration", (2,), unit="59"),
    128: Quantity("power", (2,), unit="WTT"),
    130: Quantity("distance", (4,), (0.001,), unit="MTR"),
    131: Quantity("energy", (4,), (0.001,), unit="KWH"),
    132: Quantity("direction", (2,), unit="DD"),
    133: Quantity("unixtime", (4,)),
    134: Quantity("gyrometer", (2, 2, 2), (0.01,) * 3, is_signed=True, parts=("x", "y", "z")),
    135: Quantity("colour", (1, 1, 1), (1,) * 3, parts=("r", "g", "b")),
    136: Quantity(
        "gps", (3, 3, 3), (0.0001, 0.0001, 0.01), is_signed=True, parts=("latitude", "longitude", "altitude")
    ),
    142: Quantity("switch", (1,)),
}
"""Type -> what it is. A new type is a row."""

UNITS: Final = {quantity.name: quantity.unit for quantity in TYPES.values() if quantity.unit is not None}

_OF_CHIRPSTACK: Final = {
    "digitalInput": "digital_in",
    "digitalOutput": "digital_out",
    "analogInput": "analog_in",
    "analogOutput": "analog_out",
    "genericSensor": "generic_sensor",
    "illuminanceSensor": "luminosity",
    "presenceSensor": "presence",
    "temperatureSensor": "temperature",
    "humiditySensor": "relative_humidity",
    "barometer": "barometric_pressure",
    "unix_time": "unixtime",
    "color": "colour",
    "gpsLocation": "gps",
} | {quantity.name: quantity.name for quantity in TYPES.values()}
"""What ChirpStack calls a quantity; the channels are members of it."""

_DECIMALS = 4
"""The finest step there is. The Things Stack computes in 32 bits, and tells 27.2 as 27.200000762939453."""


def decode(payload: bytes) -> dict[str, object]:
    """Return the values by field; `WrongShape` names the byte that does not fit."""
    values: dict[str, object] = {}
    position = 0
    while position < len(payload):
        if position + 1 >= len(payload) or payload[position + 1] not in TYPES:
            raise WrongShape(f"byte {position + 1} of the payload is no type of Cayenne LPP")
        channel, quantity = payload[position], TYPES[payload[position + 1]]
        position += 2
        numbers: list[float] = []
        for size, step in zip(quantity.sizes, quantity.step, strict=True):
            chunk = payload[position : position + size]
            if len(chunk) < size:
                raise WrongShape(f"the payload ends inside of {quantity.name}")
            whole = int.from_bytes(chunk, "big", signed=quantity.is_signed)
            numbers.append(whole if step == 1 else round(whole * step, 6))
            position += size
        name = f"{quantity.name}_{channel}"
        values[name] = dict(zip(quantity.parts, numbers, strict=True)) if quantity.parts else numbers[0]
    return values


def named(decoded: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Give what a network server has decoded by the names and with the numbers that `decode` gives.

    `{"temperatureSensor": {"1": 21.5}}` of ChirpStack is `temperature_1`.
    """
    for name, value in decoded.items():
        quantity = _OF_CHIRPSTACK.get(name)
        if quantity is not None and isinstance(value, dict):
            yield from ((f"{quantity}_{channel}", _rounded(item)) for channel, item in value.items())
        else:
            yield name, _rounded(value)


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return round(value, _DECIMALS) if isinstance(value, float) else value
