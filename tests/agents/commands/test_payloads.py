"""What devices are sent, and what their answers say."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.commands.command import FIRST_PAUSE_S, LONGEST_PAUSE_S, Command, Line, Message, pause_s
from agents.commands.payloads import answer_of, message_of, way_of
from agents.commands.upkeep import commandables_of
from agents.errors import WrongShape
from agents.specification import CommandSpec, DeviceSpec, MappingSpec, StaticSpec, Target

JSON = DeviceSpec(
    id="bell1",
    profile="iotagent-json",
    target=Target("t", ""),
    entity_id="urn:ngsi-ld:Bell:1",
    entity_type="Bell",
    apikey="key",
    service="openiot",
    servicepath="/",
    mapping=MappingSpec(statics=(StaticSpec("floor", 3),)),
)
UL = dataclasses.replace(JSON, profile="ultralight")


@pytest.mark.parametrize(
    ("transport", "endpoint", "way"),
    [
        ("", "", "mqtt"),
        ("MQTT", "http://dev/", "mqtt"),
        ("", "http://dev/", "push"),
        ("http", "http://dev/", "push"),
        ("HTTP", "", "poll"),
    ],
)
def test_way(transport: str, endpoint: str, way: str) -> None:
    assert way_of(dataclasses.replace(JSON, transport=transport, endpoint=endpoint)) == way


@pytest.mark.parametrize(
    ("spec", "command", "value", "payload"),
    [
        (JSON, CommandSpec("ring"), "x", b'{"ring":"x"}'),
        (JSON, CommandSpec("ring"), "", b'{"ring":""}'),
        (JSON, CommandSpec("ring"), {"a": [1, None]}, b'{"ring":{"a":[1,null]}}'),
        (UL, CommandSpec("ring"), "x", b"bell1@ring|x"),
        (UL, CommandSpec("ring"), "", b"bell1@ring|"),
        (UL, CommandSpec("ring"), 2.5, b"bell1@ring|2.5"),
        (UL, CommandSpec("ring"), {"a": 1, "b": "c"}, b"bell1@ring|a=1|b=c"),
        (UL, CommandSpec("ring", expression="ring + 1"), 2, b"bell1@ring|3"),
        (JSON, CommandSpec("ring", expression="{v: ring, f: floor, s: service}"), 7, b'{"v":7,"f":3,"s":"openiot"}'),
        (JSON, CommandSpec("ring", expression="nothing"), 7, b'"nothing"'),
        (JSON, CommandSpec("ring", expression="ring", payload_type="text"), "plain", b"plain"),
        (JSON, CommandSpec("ring", expression="ring", payload_type="binaryfromhex"), "00FF", b"\x00\xff"),
        (JSON, CommandSpec("ring", payload_type="binaryfromjson"), 1, b'{"ring":1}'),
    ],
)
def test_payload(spec: DeviceSpec, command: CommandSpec, value: Any, payload: bytes) -> None:
    message = message_of(spec, command, value)
    assert (message.to, message.payload, message.qos, message.retain) == ("/key/bell1/cmd", payload, 1, False)


def test_payload_that_does_not_fit() -> None:
    with pytest.raises(WrongShape, match="hexadecimal"):
        message_of(JSON, CommandSpec("ring", expression="ring", payload_type="binaryfromhex"), "xyz")


def test_endpoint_may_be_an_expression() -> None:
    spec = dataclasses.replace(JSON, endpoint="'http://dev/' + id", transport="HTTP")
    assert message_of(spec, CommandSpec("ring"), 1).to == "http://dev/bell1"


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"ring": "done", "other": 1}', "done"),
        (b'{"status": 1}', {"status": 1}),
        (b"bell1@ring|done", "done"),
        (b"done", "done"),
        (b"", ""),
        (b"\xff", "\ufffd"),
    ],
)
def test_answers(body: bytes, result: Any) -> None:
    now = datetime.now(UTC)
    command = Command(
        "id",
        Line("iotagent-json", "key", "bell1"),
        JSON.target,
        "urn:x:1",
        "Bell",
        "ring",
        "",
        1,
        Message("push"),
        now,
        now,
    )
    assert answer_of(command, body) == result


def test_commands_that_are_named_like_a_status_are_none() -> None:
    spec = dataclasses.replace(JSON, commands=(CommandSpec("ring"), CommandSpec("ring_status"), CommandSpec("")))
    assert [each.name for each in commandables_of(spec)] == ["ring"]


def test_pauses_grow_to_the_longest() -> None:
    pauses = [pause_s(count) for count in range(1, 40)]
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
