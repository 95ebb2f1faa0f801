"""Events of UHPPOTE door controllers, as uhppoted-mqtt publishes them.

Source: uhppoted/uhppoted-mqtt, topic `uhppoted/gateway/events`: an event, bare or wrapped in
`{"message": {"event": {…}}, "hmac": …}`, in which the event is wrapped once more by the versions that sign it.
Delivery is at least once and repeats after an outage; `event-id` counts per controller. `timestamp` is the
controller's wall time with the zone's abbreviation, which in most of the world is a number or ambiguous. `hmac` is
HMAC-SHA-256 of the text of `message` in hexadecimal, empty when the gateway has no key.
"""

import hmac
import json
import re
from datetime import datetime, timedelta, timezone

from agents.errors import NotAuthentic, WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import as_object, boolean, field, integer, read_object, text

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?: ?([A-Za-z]{1,5}|[+-]\d\d(?::?\d\d)?))?")

# Abbreviations with one meaning in RFC 5322 §4.3 or across Europe and North Africa; every other is left to the device's
# time zone, as wall time.
_OFFSET_HOURS = {
    **dict.fromkeys(("UTC", "GMT", "UT", "Z", "WET"), 0),
    **dict.fromkeys(("CET", "WEST"), 1),
    **dict.fromkeys(("CEST", "EET"), 2),
} | {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure: kind `access` for a card at a reader, `door` for an event without a card."""
    event = _event(read_object(payload))
    values: dict[str, object] = {name: integer(event, name) for name in ("device-id", "door-id", "event-id")}
    observed_at = _instant(text(event, "timestamp"))
    if event.get("card-number") in (None, 0, "0", ""):
        return [Measure(values, observed_at, "door")]
    values["access-granted"] = boolean(event, "access-granted")
    values["direction"] = integer(event, "direction")
    values["card-number"] = integer(event, "card-number")
    return [Measure(values, observed_at, "access")]


_BEFORE = re.compile(r'\s*\{\s*"message"\s*:\s*')
_AFTER = re.compile(r'\s*,\s*"hmac"\s*:\s*"([0-9A-Fa-f]*)"\s*\}\s*')


def authenticate(payload: bytes, key: bytes) -> None:
    """Return if the message is signed with the key (`mqtt.security.HMAC.key` of the gateway), else `NotAuthentic`.

    Only `{"message": …, "hmac": …}` in this order is taken: anything beside the signed text is signed by nobody.
    """
    text_ = payload.decode("utf-8", "replace")
    before = _BEFORE.match(text_)
    if before is None:
        raise NotAuthentic("the message is not signed")
    try:
        _, end = json.JSONDecoder().raw_decode(text_, before.end())
    except (ValueError, RecursionError):
        raise NotAuthentic("the message is not signed") from None
    after = _AFTER.fullmatch(text_, end)
    if after is None or not after[1]:
        raise NotAuthentic("the message is not signed")
    made = hmac.digest(key, text_[before.end() : end].encode("utf-8", "replace"), "sha256")
    if not hmac.compare_digest(made.hex(), after[1].lower()):
        raise NotAuthentic("the message is signed with another key")


def _event(body: dict[str, object]) -> dict[str, object]:
    if "message" in body:
        body = as_object(field(as_object(body["message"], "field message"), "event"), "field event")
    return as_object(body["event"], "field event") if "event" in body else body


def _instant(stamp: str) -> datetime:
    match = _STAMP.fullmatch(stamp)
    if match is None:
        raise WrongShape("field timestamp is no time")
    try:
        wall = datetime.fromisoformat(f"{match[1]}T{match[2]}")
    except ValueError:
        raise WrongShape("field timestamp is no time") from None
    zone = match[3] or ""
    if zone[:1] in ("+", "-"):
        return wall.replace(tzinfo=_numeric_zone(zone))
    hours = _OFFSET_HOURS.get(zone.upper())
    return wall if hours is None else wall.replace(tzinfo=timezone(timedelta(hours=hours)))


def _numeric_zone(text_: str) -> timezone:
    digits = text_[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset >= timedelta(hours=24):
        raise WrongShape("field timestamp is no time")
    return timezone(-offset if text_[0] == "-" else offset)
