"""What a device is sent for a command, and what its answer says.

Source: telefonicaid/iotagent-json and iotagent-ul, docs/usermanual.md, "Commands" and "Commands transformations":

    topic    "/" apikey "/" device "/cmd"
    JSON     { command: value }, or what the command's expression gives
    UL       device "@" command "|" value, parameters as name "=" value, separated by "|"

`payloadType`: `binaryfromstring`, `binaryfromhex`, `binaryfromjson`, `text`, else JSON.
"""

from collections.abc import Mapping
from functools import lru_cache

import orjson

from agents.commands.command import Command, Message, Way
from agents.errors import ExpressionFailed, InvalidExpression, WrongShape
from agents.expressions import Expression, compile_expression
from agents.provisioning.specs import ULTRALIGHT_PROFILE
from agents.specification import CommandSpec, DeviceSpec

COMMAND_ID_HEADER = "X-Command-Id"
"""Tells an HTTP device which command it is, should it come twice. Over MQTT 5: the user property `command`."""

_TEXT, _JSON = "text/plain", "application/json"


def way_of(spec: DeviceSpec) -> Way:
    """Return how the device is reached: by its transport; without one an endpoint means HTTP."""
    transport = spec.transport.upper()
    if transport == "HTTP" or (not transport and spec.endpoint):
        return "push" if spec.endpoint else "poll"
    return "mqtt"


def message_of(spec: DeviceSpec, command: CommandSpec, value: object) -> Message:
    """Return what is sent; `WrongShape` when the value does not fit the command's payload type."""
    way = way_of(spec)
    if way == "poll":
        return Message(way)
    payload = _payload(spec, command, value)
    if way == "mqtt":
        topic = f"/{spec.apikey}/{spec.id}/cmd"
        return Message(way, topic, payload, command.qos, command.retain)
    surroundings = _surroundings(spec)
    otherwise = _TEXT if spec.profile == ULTRALIGHT_PROFILE else _JSON
    headers = {
        "fiware-service": spec.service,
        "fiware-servicepath": spec.servicepath,
        "content-type": command.content_type or otherwise,
    }
    surroundings[command.name] = value
    headers |= {name.lower(): str(evaluated(str(text), surroundings)) for name, text in command.headers.items()}
    return Message(way, str(evaluated(spec.endpoint, surroundings)), payload, headers=headers)


def _payload(spec: DeviceSpec, command: CommandSpec, value: object) -> bytes:
    made = value
    if command.expression is not None:
        made = evaluated(command.expression, {**_surroundings(spec), command.name: value})
    if spec.profile == ULTRALIGHT_PROFILE:
        return ultralight(spec.id, command.name, made).encode()
    if command.expression is None:
        made = {command.name: value}
    return _serialised(made, command)


def _serialised(made: object, command: CommandSpec) -> bytes:
    kind = (command.payload_type or "").lower()
    if kind in ("binaryfromstring", "text"):
        return plain(made).encode()
    if kind == "binaryfromhex":
        try:
            return bytes.fromhex(plain(made))
        except ValueError:
            raise WrongShape(f"the value of {command.name} is not hexadecimal") from None
    return orjson.dumps(made)


def _surroundings(spec: DeviceSpec) -> dict[str, object]:
    """What expressions of commands read: the device's identity and its static attributes."""
    identity = {"id": spec.id, "type": spec.entity_type, "service": spec.service, "subservice": spec.servicepath}
    return {**identity, **{static.name: static.value for static in spec.mapping.statics}}


def evaluated(text: str, surroundings: Mapping[str, object]) -> object:
    """Return what an expression gives; the text itself when it is none or gives nothing (the agents' rule)."""
    expression = _compiled(text)
    if expression is None:
        return text
    try:
        return expression(surroundings) or text
    except ExpressionFailed:
        return text


@lru_cache(maxsize=1000)
def _compiled(text: str) -> Expression | None:
    try:
        return compile_expression(text)
    except InvalidExpression:
        return None


def ultralight(device: str, command: str, value: object) -> str:
    """Return an UltraLight command."""
    return f"{device}@{command}|{plain(value)}"


def plain(value: object) -> str:
    """Return a value as UltraLight has it: text as it is, parameters as name=value, anything else as JSON."""
    if isinstance(value, dict):
        return "|".join(f"{name}={plain(part)}" for name, part in value.items())
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def answer_of(command: Command, body: bytes) -> object:
    """Return the result that the body of an HTTP device's answer is: what it says of the command, else all of it."""
    said = body.decode(errors="replace").strip()
    head, bar, result = said.partition("|")
    if bar and head.endswith(f"@{command.name}"):
        return result
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return said
    return value[command.name] if isinstance(value, dict) and command.name in value else value
