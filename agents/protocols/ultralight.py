"""UltraLight 2.0, over MQTT and HTTP.

Source: telefonicaid/iotagent-ul, docs/usermanual.md, "UltraLight 2.0 Protocol":

    payload   = group *( "#" group )
    group     = [ "|" ] [ time "|" ] pair *( "|" pair ) / result        ; a time: an odd number of parts
    pair      = name "|" value
    result    = device "@" command "|" text

A value is JSON if it can be read as such (`15`, `true`, `"a"`), else the text itself. On `…/attrs/<name>` the payload
is one value, on `…/cmdexe` a result, on `…/configuration/commands` `configuration|name|name`.
"""

from datetime import datetime

from agents.errors import Empty, NotJson, NotUltraLight
from agents.measure import CONFIGURATION, RESULT, Measure, TopicParts
from agents.protocols.base import read_json
from agents.protocols.iotagent_json import TIME_FIELD, in_order_of_time, stated_time, those_with_values

_PAIR = 2


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure per group, in order of time; results of commands where they stand among the groups."""
    if not payload:
        raise Empty("the payload is empty")
    name = topic.get("attribute")
    if name is not None:
        return [_single(name, payload)]
    text = _text(payload)
    channel = topic.get("channel")
    if channel == CONFIGURATION:
        kind, *fields = text.split("|")
        return [Measure({"type": kind, "fields": fields}, kind=CONFIGURATION)]
    if channel is not None:
        return [_result(text)]
    groups = those_with_values([_group(group, position) for position, group in enumerate(text.split("#"))])
    return in_order_of_time(groups, received_at) if len(groups) > 1 else groups


def _text(payload: bytes) -> str:
    try:
        return payload.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise NotUltraLight(f"{len(payload)} bytes are not UTF-8") from None


def _group(group: str, position: int) -> Measure:
    parts = group.removeprefix("|").split("|")
    if "@" in parts[0][1:]:
        return _result(group.removeprefix("|"))
    observed_at = None
    if len(parts) % _PAIR:
        observed_at = stated_time(parts[0])
        parts = parts[1:]
    if not parts or "" in parts:
        raise NotUltraLight(f"group {position} is not made of pairs name|value")
    values: dict[str, object] = {name: _value(text) for name, text in zip(parts[::2], parts[1::2], strict=True)}
    if TIME_FIELD in values:
        observed_at = stated_time(values.pop(TIME_FIELD)) or observed_at
    return Measure({name: value for name, value in values.items() if value is not None}, observed_at)


def _result(text: str) -> Measure:
    head, bar, result = text.partition("|")
    _, at, command = head.partition("@")
    if not at or not command or not bar:
        raise NotUltraLight("the result is not device@command|text")
    return Measure({command: _value(result)}, kind=RESULT)


def _single(name: str, payload: bytes) -> Measure:
    """Read one value: JSON, else text, else (no UTF-8) its bytes in hexadecimal."""
    try:
        value = _value(payload.decode())
    except UnicodeDecodeError:
        value = payload.hex()
    if value is None:
        raise Empty("the payload is null")
    return Measure({name: value})


def _value(text: str) -> object:
    try:
        return read_json(text.encode())
    except NotJson:
        return text
