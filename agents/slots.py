"""The shares into which several agents divide the devices.

A slot is one MQTT session, with a client id of its own and all subscriptions: it takes the messages of its devices and
only acknowledges those of others. A device is always of the same slot, so its messages stay in order whichever agent
has the session; see docs/decisions for what that costs.
"""

import zlib
from collections.abc import Mapping

MAX_COUNT = 64


def slot_of(key: str, count: int) -> int:
    """Return the slot of a device: the same in every agent and for ever."""
    return zlib.crc32(key.encode("utf-8", "replace")) % count


def device_key(topic: str, parts: Mapping[str, str]) -> str:
    """Return what the messages of one device have in common, as far as a topic tells; else the topic itself."""
    device = parts.get("device")
    return topic if device is None else f"{parts.get('apikey', '')}/{device}"


def client_id_of(client_id: str, slot: int, count: int) -> str:
    """Return the name of a slot's session; a single one has the plain name."""
    return client_id if count == 1 else f"{client_id}-{slot}"
