"""Events that Hikvision devices push over HTTP (ISAPI).

Source: Hikvision, "ISAPI Developer Guide" (Alarm/Event Receiving in Listening Mode; EventNotificationAlert): the body
is the event as JSON or, of older firmware, XML, either alone or as the first part of a multipart body whose other parts
are pictures. Pictures, names and coordinates of faces are left behind here, whoever asks for them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

from agents.errors import NotMultipart, WrongShape
from agents.measure import Measure, TopicParts
from agents.protocols.base import as_object, field, integer, iso_instant, number, read_object, text

MAX_PARTS_COUNT = 32
MAX_BOUNDARY_BYTES = 74
"""Two hyphens, at most 70 characters (RFC 2046 §5.1.1), a line end."""
MAX_XML_DEPTH = 12

_ACCESS = "AccessControllerEvent"
_COUNTING = "peopleCounting"
_AUTHENTICATION = 5
"""Major type of events about people at a door; others are alarms, faults and operations of the device itself."""

# Card, with password, several persons, their superior's password; fingerprint, with card, both, password; face with
# fingerprint, password, card, two of these; employee number with fingerprint, both; face, with employee number;
# employee number with password; face and identity card; QR code; password.
_GRANTED: Final = (1, 2, 16, 34, 38, 40, 43, 46, 54, 57, 60, 63, 66, 69, 72, 75, 77, 101, 105, 156, 181)
# Card: wrong password, too slow, too often, no right, not now, expired, unknown, anti-passback, interlock; what several
# persons lack. Then each of the above that does not match, or takes too long.
_DENIED: Final = (
    *(3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 35, 36),
    *(39, 41, 42, 44, 45, 47, 48, 49, 55, 56, 58, 59, 61, 62, 64, 65, 67, 68),
    *(70, 71, 73, 74, 76, 78, 79, 80, 94, 102, 103, 104, 112, 113, 150),
)
_RESULTS: Final = {**dict.fromkeys(_GRANTED, "granted"), **dict.fromkeys(_DENIED, "denied")}
"""Minor type of an authentication (the names are those of the vendor's device network SDK) -> its result."""
_SINCE_RESET = "realTime"
"""What counts are that go on until they are reset; others are of a period, and come beside those."""

_UNITS = {"celsius": "CEL", "fahrenheit": "FAH", "kelvin": "KEL"}
_PLAIN = ("doorNo", "cardReaderNo", "attendanceStatus", "currentVerifyMode", "mask")


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure: kind `access` with result, badge, temperature and mask as far as the device tells them,
    `counting` with enter and exit (`period`: not since the reset); any other event is a `heartbeat` with nothing but
    its time.

    Every kind has `serialNo` (the device's own number of the event) where there is one.
    """
    body = event_of(payload)
    event = _xml(body) if body.startswith(b"<") else read_object(body)
    observed_at = iso_instant(field(event, "dateTime"), "dateTime")
    if _ACCESS in event:
        return [_access(as_object(event[_ACCESS], f"field {_ACCESS}"), observed_at)]
    if _COUNTING in event:
        counting = as_object(event[_COUNTING], f"field {_COUNTING}")
        kind = "counting" if counting.get("statisticalMethods", _SINCE_RESET) == _SINCE_RESET else "period"
        return [Measure({name: integer(counting, name) for name in ("enter", "exit")}, observed_at, kind)]
    text(event, "eventType")
    return [Measure({}, observed_at, "heartbeat")]


def event_of(payload: bytes) -> bytes:
    """Return the event without the pictures beside it; `NotMultipart` when there is none."""
    if payload[:1] in (b"{", b"<"):
        return payload
    line, end, _ = payload.lstrip(b"\r\n").partition(b"\n")
    boundary = line.rstrip(b"\r")
    if not end or not boundary.startswith(b"--") or len(boundary) > MAX_BOUNDARY_BYTES:
        raise NotMultipart(f"{len(payload)} bytes are neither an event nor multipart")
    for part in payload.split(boundary, MAX_PARTS_COUNT)[1:]:
        head, blank, content = part.replace(b"\r\n", b"\n", 16).partition(b"\n\n")
        if not blank or b"image/" in head.lower():
            continue
        content = content.strip()
        if content[:1] in (b"{", b"<"):
            return content
    raise NotMultipart("no part of the body is an event")


def _access(event: Mapping[str, object], observed_at: datetime) -> Measure:
    values: dict[str, object] = {name: event[name] for name in _PLAIN if event.get(name) not in (None, "")}
    units: dict[str, str] = {}
    if "serialNo" in event:
        values["serialNo"] = integer(event, "serialNo")
    if event.get("currTemperature") not in (None, ""):
        values["currTemperature"] = number(event["currTemperature"], "field currTemperature")
        units["currTemperature"] = _unit(event)
    is_access = integer(event, "majorEventType") == _AUTHENTICATION
    result = _RESULTS.get(integer(event, "subEventType")) if is_access else None
    if result is not None:
        values["result"] = result
        for name in ("cardNo", "employeeNoString"):
            if event.get(name) not in (None, "", "0", 0):
                values["badge"] = event[name]
                break
    kind = "access" if result is not None or "currTemperature" in values else "heartbeat"
    return Measure(values, observed_at, kind, units)


def _unit(event: Mapping[str, object]) -> str:
    """The unit of temperatures: Celsius where the device does not say."""
    stated = event.get("thermometryUnit") or "celsius"
    if not isinstance(stated, str) or stated.lower() not in _UNITS:
        raise WrongShape(f"field thermometryUnit is none of {', '.join(_UNITS)}")
    return _UNITS[stated.lower()]


def _xml(body: bytes) -> dict[str, object]:
    try:
        document = body.decode()
        if "<!DOCTYPE" in document or "<!ENTITY" in document:
            raise WrongShape("the event has a document type, which is not read")
        root = ElementTree.fromstring(document)  # noqa: S314 - no document type, so no entities
    except (UnicodeDecodeError, ElementTree.ParseError, ExpatError, ValueError):
        raise WrongShape(f"{len(body)} bytes are not XML in UTF-8") from None
    return as_object(_element(root, 0), "the event")


def _element(element: ElementTree.Element, depth: int) -> object:
    if depth > MAX_XML_DEPTH:
        raise WrongShape(f"the event is nested more than {MAX_XML_DEPTH} levels deep")
    children = {str(child.tag).rpartition("}")[2]: _element(child, depth + 1) for child in element}
    return children or (element.text or "").strip()
