"""What the devices of the campus put on MQTT, byte for byte in the vendors' formats.

Names, card numbers and images are in these payloads because real devices send them; the IoT agent must drop them.
Formats: ONVIF events over MQTT (Core specification, JSON encoding), uhppoted-mqtt, esp-rfid, FIWARE IoT Agent JSON.
"""

import hashlib
import hmac
from typing import Any, Final

import orjson

from pilots.campus.simulator.clock import Clock, local_text, utc_text
from pilots.campus.simulator.journeys import Direction, Passage, Screening
from pilots.campus.simulator.message import Dirt, Kind, Message

APIKEY: Final = "campus"
CAMERAS: Final = ("cam-gate-1", "cam-gate-2")
CONTROLLER: Final = "405419896"
DOORS: Final = {"hall": 1, "lab": 2, "auditorium": 3, "cafeteria": 4}
VISITOR_READERS: Final[dict[Direction, str]] = {"in": "visitor-in", "out": "visitor-out"}
SENSORS: Final = {zone: f"zs-{zone}" for zone in ("gate", "hall", "lab", "auditorium", "cafeteria")}

KELVIN: Final = 273.15
CAMERA_ALARM_CELSIUS: Final = 37.5
# The first bytes of a JPEG file: enough to prove that no image travels further than the agent.
JPEG_BASE64: Final = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkI"


def body_temperature(screening: Screening, camera: str, object_id: int, clock: Clock) -> Message:
    """An ONVIF BodyTemperatureAlarm in Kelvin: one camera writes named items, the other a list of SimpleItem."""
    items = {
        "State": "true" if screening.celsius > CAMERA_ALARM_CELSIUS else "false",
        "ObjectId": str(object_id),
        "Temperature": f"{screening.celsius + KELVIN:.2f}",
    }
    source: dict[str, Any] = {"VideoSource": "VSC-1", "Rule": "BodyTemperature"}
    details: dict[str, Any] = items | {"ImageUri": f"http://{camera}/snapshots/{object_id}.jpg"}
    if camera != CAMERAS[0]:
        source = _simple_items(source)
        details = _simple_items(items | {"Image": JPEG_BASE64})
    stamp = utc_text(clock.reading(camera, screening.at_s))
    topic = f"{APIKEY}/{camera}/onvif-ej/RuleEngine/Radiometry/BodyTemperatureAlarm/&VSC-1"
    body = {"UtcTime": stamp, "Source": source, "Data": details}
    return _message(screening.at_s, camera, "thermal camera", topic, body, clock)


def door_event(passage: Passage, event_id: int, clock: Clock, controller: str = CONTROLLER) -> Message:
    """A uhppoted door event in its signed envelope; direction 1 is in, 2 is out."""
    event = {
        "access-granted": passage.granted,
        "card-number": int(passage.person.badge),
        "device-id": int(controller),
        "direction": 1 if passage.direction == "in" else 2,
        "direction-text": passage.direction,
        "door-id": DOORS[passage.zone],
        "event-id": event_id,
        "event-reason": 1 if passage.granted else 6,
        "event-reason-text": "swipe" if passage.granted else "no access rights",
        "event-type": 2,
        "event-type-text": "door",
        "timestamp": local_text(clock.reading(controller, passage.at_s)),
    }
    message = {"event": event}
    signature = hmac.new(b"uhppoted", orjson.dumps(message), hashlib.sha256).hexdigest()
    envelope = {"message": message, "hmac": signature}
    return _message(passage.at_s, controller, "door controller", "uhppoted/gateway/events", envelope, clock)


def visitor_access(passage: Passage, clock: Clock) -> Message:
    """An esp-rfid access message; its booleans are text, and the name is in clear."""
    reader = VISITOR_READERS[passage.direction]
    body = {
        "type": "access",
        "time": int(clock.reading(reader, passage.at_s).timestamp()),
        "isknown": "true",
        "access": "Always" if passage.granted else "Expired",
        "username": passage.person.name,
        "uid": passage.person.badge,
        "door": reader,
    }
    return _message(passage.at_s, reader, "visitor reader", f"esp-rfid/{reader}/send", body, clock)


def visitor_heartbeat(reader: str, at_s: float, clock: Clock) -> Message:
    """The sign of life of an esp-rfid reader."""
    moment = int(clock.reading(reader, at_s).timestamp())
    body = {"type": "heartbeat", "time": moment, "ip": "192.168.20.14", "door": reader}
    return _message(at_s, reader, "visitor reader", f"esp-rfid/{reader}/send", body, clock)


def zone_measure(device: str, at_s: float, values: dict[str, float | int], clock: Clock) -> Message:
    """A FIWARE IoT Agent JSON measure; the sensor at the gate has no clock, the others send TimeInstant."""
    body: dict[str, float | int | str] = dict(values)
    if device != SENSORS["gate"]:
        body["TimeInstant"] = utc_text(clock.reading(device, at_s))
    return _message(at_s, device, "zone sensor", f"/json/{APIKEY}/{device}/attrs", body, clock)


def _simple_items(items: dict[str, Any]) -> dict[str, Any]:
    return {"SimpleItem": [{"Name": name, "Value": value} for name, value in items.items()]}


def _message(at_s: float, device: str, kind: Kind, topic: str, body: dict[str, Any], clock: Clock) -> Message:
    dirt: Dirt | None = "wrong clock" if clock.is_wrong(device, at_s) else None
    return Message(at_s, device, kind, topic, orjson.dumps(body), dirt)
