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

_RESULTS: Final = {
    **dict.fromkeys((1, 2, 38, 75), "granted"),
    **dict.fromkeys((3, 6, 7, 8, 9, 39, 76), "denied"),
}
"""Minor type -> result: card, card and password, fingerprint, face; wrong password, no right, out of its time, expired,
unknown card, fingerprint or face that does not match."""

_UNITS = {"celsius": "CEL", "fahrenheit": "FAH", "kelvin": "KEL"}
_PLAIN = ("doorNo", "cardReaderNo", "attendanceStatus", "currentVerifyMode", "mask")


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure: kind `access` with result, badge, temperature and mask as far as the device tells them,
    `counting` with enter and exit; any other event is a `heartbeat` with nothing but its time.

    Every kind has `serialNo` (the device's own number of the event) where there is one.
    """
    body = event_of(payload)
    event = _xml(body) if body.startswith(b"<") else read_object(body)
    observed_at = iso_instant(field(event, "dateTime"), "dateTime")
    if _ACCESS in event:
        return [_access(as_object(event[_ACCESS], f"field {_ACCESS}"), observed_at)]
    if _COUNTING in event:
        counting = as_object(event[_COUNTING], f"field {_COUNTING}")
        return [Measure({name: integer(counting, name) for name in ("enter", "exit")}, observed_at, "counting")]
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
