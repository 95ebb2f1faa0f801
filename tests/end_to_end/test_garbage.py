"""Whatever arrives over MQTT, the measures before and after it are stored; what was refused can be seen."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.end_to_end import device
from tests.end_to_end.city import City, request
from tests.waiting import until_sync

DEVICE = "garbled"
TOPIC = f"/json/bench/{DEVICE}/attrs"
STRANGER = "/json/nobody/stranger/attrs"
PAYLOAD_SHOWN_MAX = 300
GARBAGE = {
    "not JSON": (TOPIC, b"{oops", "not-json"),
    "cut off": (TOPIC, b'{"n": 1, "text": "cut o', "not-json"),
    "invalid UTF-8": (TOPIC, b'{"n": "\xff\xfe\x80"}', "not-json"),
    "no bytes at all": (TOPIC, b"", "not-json"),
    "array of numbers": (TOPIC, b"[1, 2, 3]", "wrong-shape"),
    "text": (TOPIC, b'"n"', "wrong-shape"),
    "name no attribute can have": (TOPIC, b'{"a <b>": 1}', "wrong-shape"),
    "nothing in it": (TOPIC, b"{}", "empty"),
    "over 1 MB": (TOPIC, b'{"n": "' + b"x" * 1_048_576 + b'"}', "too-large"),
    "unknown device": (STRANGER, b'{"n": 1}', "unknown-device"),
}


def test_garbage_stops_nothing_and_can_be_seen(city: City) -> None:
    before = _rejected(city)
    logged_before = len(_logged(city))
    city.subscribe("Device")
    messages = [(TOPIC, b'{"n": 0}')]
    for number, (topic, payload, _) in enumerate(GARBAGE.values(), start=1):
        messages += [(topic, payload), (TOPIC, b'{"n": %d}' % number)]
    device.publish(city.mqtt_url, messages)

    entity = f"urn:ngsi-ld:Device:{DEVICE}"
    until_sync(lambda: entity in city.record.arrivals(), within_s=10)
    until_sync(lambda: not city.record.arrivals()[entity].missing(len(GARBAGE) + 1), within_s=10)
    assert city.record.arrivals()[entity].disordered == 0
    assert city.devices()[entity]["n"] == len(GARBAGE)

    expected = Counter(reason for _, _, reason in GARBAGE.values())
    assert _rejected(city) - before == expected
    logged = _logged(city)[logged_before:]
    assert Counter(line["reason"] for line in logged) == expected
    assert {line["topic"] for line in logged} == {TOPIC, STRANGER}
    assert max(len(line["payload"]) for line in logged) < PAYLOAD_SHOWN_MAX
    shown = request(city.ports["agent"], "GET", "/rejected").json()
    assert Counter(one["reason"] for one in shown[: len(GARBAGE)]) == expected


def _rejected(city: City) -> Counter[str]:
    """Rejected messages by reason, from the agent's metrics."""
    prefix = 'medina_agent_rejected_total{reason="'
    samples = city.metrics("agent").items()
    return Counter({name[len(prefix) : -2]: int(value) for name, value in samples if name.startswith(prefix)})


def _logged(city: City) -> list[dict[str, Any]]:
    """The agent's log lines about messages it rejected."""
    lines = city.parts["agent"].log.read_text().splitlines()
    entries = (json.loads(line) for line in lines if line.startswith("{"))
    return [entry for entry in entries if entry.get("event") == "message rejected"]
