"""Shelly devices of the first generation, and of the second and later ones.

Source: shelly-api-docs.shelly.cloud. First generation: one value per topic, `shellies/<device>/relay/0` "on",
`shellies/<device>/relay/0/power` "12.5", `shellies/<device>/sensor/temperature` "21.5", in °C or °F as the device is
set: it does not say. What is sent to the device has a topic of the same form, with `command` or `set` at the end. Later
ones: RPC notifications on `<device>/events/rpc`, `{"method": "NotifyStatus", "params": {"ts": 1680962879.62,
"switch:0": {…}}, …}`, and the status of a component on `<device>/status/<component>`. A notification holds what has
changed; values that are not known are null.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from agents.errors import Empty, NotJson, WrongShape
from agents.measure import FOREIGN, Measure, TopicParts
from agents.protocols.base import as_object, field, flat, number, read_json, read_object, text, unix_instant

_STATUS = frozenset({"NotifyStatus", "NotifyFullStatus"})
_EVENT = "NotifyEvent"
_NOT_MEASURED = frozenset({"ble", "cloud", "mqtt", "sys", "wifi", "ws", "eth", "ht_ui", "ts"})
"""Components about the device's own affairs, addresses and network names among them."""
_OWN_AFFAIRS = frozenset({"announce", "info", "settings"})
"""The same of the first generation."""
_TO_THE_DEVICE = frozenset({"command", "set"})
"""Last parts of topics by which the first generation is told something."""

_WORDS: Final = {"on": True, "off": False, "true": True, "false": False}
_MAX_VALUE_BYTES = 256

_UNITS = {
    "tC": "CEL",
    "tF": "FAH",
    "rh": "P1",
    "percent": "P1",
    "lux": "LUX",
    "apower": "WTT",
    "act_power": "WTT",
    "total_act_power": "WTT",
    "aprtpower": "D46",
    "voltage": "VLT",
    "current": "AMP",
    "freq": "HTZ",
    "V": "VLT",
    "total": "WHR",
    "total_act": "WHR",
    "pf": "C62",
    "bat": "P1",
    "temperature_f": "FAH",
    "humidity": "P1",
    "battery": "P1",
    "power": "WTT",
}
"""Last part of a field -> unit. Not of `energy` of the first generation: watt-minutes have no code."""
_PHASES = frozenset({"a_", "b_", "c_", "n_"})


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure: kind `event` for buttons and the like, else plain values such as `switch:0.apower`; kind
    `heartbeat` for the device's own affairs.

    Topic part `value`: the first generation's path of the value, `relay/0/power`, which is the field `relay.0.power`;
    `component`: a component's status; none of both: a notification.
    """
    if "value" in topic:
        return [_single(topic["value"].replace("/", "."), payload)]
    message = read_object(payload)
    if "component" in topic:
        if topic["component"].partition(":")[0] in _NOT_MEASURED:
            return [Measure({}, kind="heartbeat")]
        values = {f"{topic['component']}.{name}": value for name, value in flat(message)}
        return [_measure(values, None)]
    method = text(message, "method")
    params = as_object(field(message, "params"), "field params")
    observed_at = unix_instant(number(params["ts"], "field ts"), "ts") if "ts" in params else None
    if method in _STATUS:
        components = {name: value for name, value in params.items() if name.partition(":")[0] not in _NOT_MEASURED}
        if not components:
            return [Measure({}, observed_at, "heartbeat")]
        return [_measure(dict(flat(components)), observed_at)]
    if method == _EVENT:
        return _events(params, observed_at)
    raise WrongShape(f"field method is none of {', '.join(sorted((*_STATUS, _EVENT)))}")


def _events(params: Mapping[str, object], observed_at: datetime | None) -> list[Measure]:
    events = field(params, "events")
    if not isinstance(events, list) or not events:
        raise WrongShape("field events is no array of events")
    measures = []
    for event in events:
        told = as_object(event, "an item of events")
        values = {"component": text(told, "component"), "event": text(told, "event")}
        at = unix_instant(number(told["ts"], "field ts"), "ts") if "ts" in told else observed_at
        measures.append(Measure(values, at, "event"))
    return measures


def _single(name: str, payload: bytes) -> Measure:
    """One value of the first generation: a word, a number, an array, or an object."""
    if name.rpartition(".")[2] in _TO_THE_DEVICE:
        return Measure({}, kind=FOREIGN)
    if name in _OWN_AFFAIRS:
        return Measure({}, kind="heartbeat")
    word = payload[: _MAX_VALUE_BYTES + 1].decode("utf-8", "replace").strip()
    if word in _WORDS:
        return _measure({name: _WORDS[word]}, None)
    try:
        value = read_json(payload)
    except NotJson:
        if not word.isascii() or not word.replace("_", "").isalnum() or len(payload) > _MAX_VALUE_BYTES:
            raise
        value = word
    if isinstance(value, dict):
        return _measure({f"{name}.{inner}": item for inner, item in flat(value)}, None)
    if value is None:
        raise Empty("the value is null")
    return _measure({name: value}, None)


def _measure(values: dict[str, object], observed_at: datetime | None) -> Measure:
    if not values:
        raise Empty("the message holds no value")
    return Measure(values, observed_at, units=dict(_units(values)))


def _units(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        quantity = name.rpartition(".")[2]
        unit = _UNITS.get(quantity[2:] if quantity[:2] in _PHASES else quantity)
        if unit is not None and isinstance(value, int | float | str) and not isinstance(value, bool):
            yield name, unit
