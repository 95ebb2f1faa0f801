"""The protocols the agent reads: one module and one line each."""

from agents.protocols import esp_rfid, iotagent_json, onvif, uhppoted, ultralight
from agents.protocols.base import Decoder

PROTOCOLS: dict[str, Decoder] = {
    "esp_rfid": esp_rfid.decode,
    "iotagent_json": iotagent_json.decode,
    "onvif": onvif.decode,
    "uhppoted": uhppoted.decode,
    "ultralight": ultralight.decode,
}
"""Name of a protocol in a profile file -> its decoder."""
