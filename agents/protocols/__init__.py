"""The protocols the agent reads: one module and one line each."""

from collections.abc import Callable

from agents.protocols import (
    esp_rfid,
    hikvision,
    iotagent_json,
    lorawan,
    onvif,
    senml,
    shelly,
    tasmota,
    theengs,
    uhppoted,
    ultralight,
    zigbee2mqtt,
)
from agents.protocols.base import Decoder

PROTOCOLS: dict[str, Decoder] = {
    "esp_rfid": esp_rfid.decode,
    "hikvision": hikvision.decode,
    "iotagent_json": iotagent_json.decode,
    "lorawan": lorawan.decode,
    "onvif": onvif.decode,
    "senml": senml.decode,
    "shelly": shelly.decode,
    "tasmota": tasmota.decode,
    "theengs": theengs.decode,
    "uhppoted": uhppoted.decode,
    "ultralight": ultralight.decode,
    "zigbee2mqtt": zigbee2mqtt.decode,
}
"""Name of a protocol in a profile file -> its decoder."""

SIGNATURES: dict[str, Callable[[bytes, bytes], None]] = {"uhppoted": uhppoted.authenticate}
"""Protocols whose messages can be signed: (payload, key) -> None, or `NotAuthentic`."""

REDUCED: dict[str, Callable[[bytes], bytes]] = {"hikvision": hikvision.event_of}
"""Protocols over HTTP of whose bodies only a part may come further: body -> payload, or `MeasureError`."""

CODECS: dict[str, frozenset[str]] = {"lorawan": lorawan.CODECS}
"""Protocols that carry payloads of several forms, and the names of those."""
