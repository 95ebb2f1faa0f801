"""Messages of ESP-RFID door readers.

Source: esprfid/esp-rfid, wiki "MQTT": `<topic>/send` carries an object with `type` (access, heartbeat, boot), `time`
in seconds since 1970, and more. An access message has `access` (Always, Admin, Disabled, Expired, Denied) and the `uid`
of a tag, and names its owner in clear, which is left behind here.
"""

from datetime import datetime

from agents.errors import WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import integer, read_object, text, unix_instant

ACCESS_RESULTS = frozenset({"Always", "Admin", "Disabled", "Expired", "Denied"})


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure: kind `access` with time, access and uid; `heartbeat` and `boot` with the time only."""
    message = read_object(payload)
    kind = text(message, "type")
    seconds = integer(message, "time")
    observed_at = unix_instant(seconds, "time")
    if kind in ("heartbeat", "boot"):
        return [Measure({"time": seconds}, observed_at, kind)]
    if kind != "access":
        raise WrongShape("field type is none of access, heartbeat, boot")
    access = text(message, "access")
    if access not in ACCESS_RESULTS:
        raise WrongShape(f"field access is none of {', '.join(sorted(ACCESS_RESULTS))}")
    return [Measure({"time": seconds, "access": access, "uid": text(message, "uid")}, observed_at, kind)]
