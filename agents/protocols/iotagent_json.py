"""FIWARE IoT Agent JSON, over MQTT and HTTP.

Source: telefonicaid/iotagent-json, docs/usermanual.md: an object or an array of objects on `…/<apikey>/<device>/attrs`,
one raw value on `…/attrs/<name>`, the results of commands on `…/cmdexe`, requests for configuration on
`…/configuration/commands`. `TimeInstant` in a measure wins over the time of reception; one that is no ISO 8601 time is
ignored, as the FIWARE agent does. An array is stored in order of time.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from agents.errors import Empty, NotJson, WrongShape
from agents.measure import CONFIGURATION, RESULT, Measure, TopicParts
from agents.protocols.base import as_object, field, json_type, read_json

TIME_FIELD = "TimeInstant"


def decode(topic: TopicParts, payload: bytes, received_at: datetime) -> list[Measure]:
    """Return one measure per object, or one of one field on `…/attrs/<name>` (topic part `attribute`).

    The topic part `channel` tells results (`cmdexe`) and requests (`configuration`) from measures.
    """
    name = topic.get("attribute")
    if name is not None:
        return [raw_value(name, payload)]
    body = read_json(payload)
    channel = topic.get("channel")
    if channel is not None:
        reports = body if isinstance(body, list) else [body]
        return [_report(channel, as_object(report, "the payload")) for report in reports]
    if not isinstance(body, list):
        return those_with_values([_measure(body, "the payload")])
    measures = [_measure(item, f"item {position}") for position, item in enumerate(body)]
    return in_order_of_time(those_with_values(measures), received_at)


def those_with_values(measures: Sequence[Measure]) -> list[Measure]:
    """Return the measures without those that say nothing, which the others need not suffer for; `Empty`."""
    found = [measure for measure in measures if measure.values]
    if not found:
        raise Empty("the payload holds no value")
    return found


def _measure(body: object, where: str) -> Measure:
    values = as_object(body, where)
    observed_at = stated_time(values.pop(TIME_FIELD)) if TIME_FIELD in values else None
    if None in values.values():
        values = {name: value for name, value in values.items() if value is not None}
    return Measure(values, observed_at)


def stated_time(value: object) -> datetime | None:
    """Return the time a device states, also one without a time of day; None for what is no ISO 8601 time.

    In a measure that is an entity it is an attribute.
    """
    if isinstance(value, dict):
        value = value.get("value")
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and ("T" in value or "-" in value) else None
    except ValueError:
        return None


def raw_value(name: str, payload: bytes) -> Measure:
    """Read a single value: JSON if it is, else the bytes in hexadecimal (the FIWARE agent's rule)."""
    if not payload:
        raise Empty("the payload is empty")
    try:
        value = read_json(payload)
    except NotJson:
        value = payload.hex()
    if value is None:
        raise Empty(f"the payload is {json_type(value)}")
    return Measure({name: value})


def _report(channel: str, body: dict[str, object]) -> Measure:
    if channel != CONFIGURATION:
        if not body:
            raise Empty("the payload names no command")
        return Measure(body, kind=RESULT)
    fields = field(body, "fields")
    if not isinstance(fields, list) or not all(isinstance(item, str) for item in fields):
        raise WrongShape("field fields is no array of names")
    return Measure({"type": field(body, "type"), "fields": fields}, kind=CONFIGURATION)


def in_order_of_time(measures: list[Measure], received_at: datetime) -> list[Measure]:
    """Return the measures sorted by the time they state; where they state none, by the time of reception."""

    def key(measure: Measure) -> datetime:
        at = measure.observed_at or received_at
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    return sorted(measures, key=key)
