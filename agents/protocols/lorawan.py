"""Uplinks of LoRaWAN devices, from ChirpStack 4 and The Things Stack 3.

Source: chirpstack.io/docs, "Integrations: event types" (`up`), and thethingsindustries.com/docs, "Data formats"
(uplink messages). Where the network server has decoded the payload, its object is taken, else the bytes are decoded by
the profile's `codec`: `cayenne_lpp`, or a model of `milesight`.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from agents.errors import WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols import cayenne_lpp, milesight
from agents.protocols.base import (
    CODEC,
    as_object,
    flat,
    integer,
    iso_instant,
    json_type,
    number,
    read_object,
    unix_instant,
)

CODECS = frozenset({"cayenne_lpp", *milesight.MODELS})
MAX_PAYLOAD_BYTES = 512
"""A LoRaWAN frame holds 242 at the most."""

_POSITION = ("latitude", "longitude")


class Uplink(NamedTuple):
    """What both network servers tell."""

    observed_at: datetime | None
    number: int
    port: int
    decoded: Mapping[str, object] | None
    payload: bytes


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure with the values, `fCnt` and `fPort`; before it, kind `history`, those the device had kept.

    Kind `heartbeat`: the frame holds no values.
    """
    message = read_object(payload)
    uplink = _things_stack(message) if "end_device_ids" in message else _chirpstack(message)
    codec = topic.get(CODEC, "")
    now, *earlier = _values(uplink, codec)
    frame = {"fCnt": uplink.number, "fPort": uplink.port}
    measures = []
    for values in earlier:
        at = _instant(values)
        if at is None:
            raise WrongShape("an entry of history has no timestamp")
        measures.append(Measure({**values, **frame}, at, "history", _units(values, codec)))
    kind = "" if now else "heartbeat"
    return [*measures, Measure({**now, **frame}, _instant(now) or uplink.observed_at, kind, _units(now, codec))]


def _chirpstack(message: Mapping[str, object]) -> Uplink:
    as_object(message.get("deviceInfo"), "field deviceInfo")
    return Uplink(
        observed_at=_stated(message, "time"),
        number=_optional(message, "fCnt"),
        port=_optional(message, "fPort"),
        decoded=_object(message, "object"),
        payload=_bytes(message, "data"),
    )


def _things_stack(message: Mapping[str, object]) -> Uplink:
    uplink = as_object(message.get("uplink_message"), "field uplink_message")
    return Uplink(
        observed_at=_stated(uplink, "received_at") or _stated(message, "received_at"),
        number=_optional(uplink, "f_cnt"),
        port=_optional(uplink, "f_port"),
        decoded=_object(uplink, "decoded_payload"),
        payload=_bytes(uplink, "frm_payload"),
    )


def _stated(message: Mapping[str, object], name: str) -> datetime | None:
    return iso_instant(message[name], name) if name in message else None


def _optional(message: Mapping[str, object], name: str) -> int:
    """A number that is left out when it is 0."""
    return integer(message, name) if name in message else 0


def _object(message: Mapping[str, object], name: str) -> dict[str, object] | None:
    """What the network server has decoded; an empty object is nothing."""
    return (as_object(message[name], f"field {name}") or None) if message.get(name) is not None else None


def _bytes(message: Mapping[str, object], name: str) -> bytes:
    text = message.get(name, "")
    if not isinstance(text, str):
        raise WrongShape(f"field {name} is {json_type(text)}, not text")
    try:
        payload = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise WrongShape(f"field {name} is not Base64") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise WrongShape(f"field {name} has more than {MAX_PAYLOAD_BYTES} bytes")
    return payload


def _values(uplink: Uplink, codec: str) -> list[dict[str, object]]:
    if uplink.decoded is not None:
        if codec == "cayenne_lpp":
            return [dict(_flat(dict(cayenne_lpp.named(uplink.decoded))))]
        history = uplink.decoded.get("history", [])
        entries = history if isinstance(history, list) else [history]
        rest = {name: value for name, value in uplink.decoded.items() if name != "history"}
        return [dict(_flat(rest)), *(dict(_flat(as_object(entry, "an entry of history"))) for entry in entries)]
    if not uplink.payload:
        return [{}]
    if codec in milesight.MODELS:
        return milesight.decode(uplink.payload, codec)
    if codec == "cayenne_lpp":
        return [dict(_flat(cayenne_lpp.decode(uplink.payload)))]
    raise WrongShape("the network server has not decoded the payload, and the profile has no codec")


def _flat(values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The values with positions as GeoJSON, and every other object as `outer.inner`."""
    for name, value in values.items():
        if isinstance(value, dict) and all(part in value for part in _POSITION):
            latitude, longitude = (number(value[part], f"{part} of a position") for part in _POSITION)
            yield name, {"type": "Point", "coordinates": [longitude, latitude]}
        else:
            yield from flat({name: value})


def _instant(values: Mapping[str, object]) -> datetime | None:
    stated = values.get("timestamp")
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0:
        return unix_instant(stated, "timestamp")
    return None


def _units(values: Mapping[str, object], codec: str) -> dict[str, str]:
    if codec in milesight.MODELS:
        return {name: unit for name, unit in milesight.UNITS.items() if name in values}
    known = ((name, cayenne_lpp.UNITS.get(name.rpartition("_")[0])) for name in values)
    return {name: unit for name, unit in known if unit is not None}
