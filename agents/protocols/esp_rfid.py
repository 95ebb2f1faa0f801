"""Messages of ESP-RFID door readers.

Source: esprfid/esp-rfid, README-MQTT: `<topic>/send` carries an object with `type` and `time` (seconds since 1970). An
`access` message has the `uid` of a tag and `access`: a word, or a word for each door where the reader has several. It
names the owner of the tag in clear, which is left behind here. `heartbeat`, `boot`, and lines of the log (INFO, WARN,
ERRO) show that the reader is there, as do its answers to commands (`command`).
"""

from collections.abc import Mapping
from datetime import datetime

from agents.errors import WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import field, integer, json_type, read_object, text, unix_instant

ACCESS_RESULTS = ("Always", "Admin", "Disabled", "Expired", "Denied", "Wrong pin code")
"""The first two open the door."""
_OPEN = frozenset(ACCESS_RESULTS[:2])
_SIGNS_OF_LIFE = frozenset({"heartbeat", "hearthbeat", "boot", "INFO", "WARN", "ERRO"})
"""The second is how early versions spell it."""


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure: kind `access` with time, access and uid; any other has the time only.

    Where a reader has several doors, `access` is what opens one of them, if anything does.
    """
    message = read_object(payload)
    if "type" not in message and isinstance(message.get("command"), str):
        return [Measure({}, kind="answer")]
    kind = text(message, "type")
    seconds = integer(message, "time")
    observed_at = unix_instant(seconds, "time")
    if kind in _SIGNS_OF_LIFE:
        return [Measure({"time": seconds}, observed_at, "heartbeat")]
    if kind != "access":
        raise WrongShape("field type is none of access, heartbeat, boot, INFO, WARN, ERRO")
    access, uid = _access(message), text(message, "uid")
    if not uid.strip():  # somebody has pressed the button inside
        return [Measure({"time": seconds, "access": access}, observed_at, "button")]
    return [Measure({"time": seconds, "access": access, "uid": uid}, observed_at, kind)]


def _access(message: Mapping[str, object]) -> str:
    told = field(message, "access")
    words = [word for word in (told if isinstance(told, list) else [told]) if isinstance(word, str)]
    if not words or (isinstance(told, list) and len(words) < len(told)):
        raise WrongShape(f"field access is {json_type(told)}, not text")
    if not all(word in ACCESS_RESULTS for word in words):
        raise WrongShape(f"field access is none of {', '.join(ACCESS_RESULTS)}")
    return next((word for word in words if word in _OPEN), words[0])
