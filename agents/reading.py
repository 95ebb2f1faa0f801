"""The measures of a message, as its profile reads it: decoded, with its time, and nothing but what is allowed. Pure."""

from collections.abc import Iterable
from datetime import datetime

from agents.measure import LIVENESS, Measure, TopicParts
from agents.profile import Profile
from agents.protocols.base import CODEC, Decoder, flat, iso_instant, number, unix_instant
from agents.routing import CHANNEL
from ngsi.datetimes import system_text

MILLISECONDS_FROM = 1e11
"""A number of seconds this large is of the year 5138: it is milliseconds."""


def measures_of(
    profile: Profile,
    decode: Decoder,
    allowed: frozenset[str],
    parts: TopicParts,
    payload: bytes,
    received_at: datetime,
) -> Iterable[Measure]:
    """Give the measures of a message: of its availability topic, or decoded, with nothing but what is allowed."""
    if profile.liveness.topics and parts.get(CHANNEL) == LIVENESS:
        yield profile.liveness.read(payload)
        return
    if profile.codec is not None:
        parts = {**parts, CODEC: profile.codec}
    for measure in decode(parts, payload, received_at):
        if profile.flat:
            measure = measure._replace(values=dict(flat(measure.values)))
        if profile.time is not None:
            measure = _timed(measure, profile.time, keeps=profile.time in allowed)
        if allowed:
            measure = measure._replace(
                values={name: measure.values[name] for name in measure.values if name in allowed}
            )
        if profile.received is not None:
            measure = measure._replace(values={**measure.values, profile.received: system_text(received_at)})
        yield measure


def _timed(measure: Measure, field: str, *, keeps: bool) -> Measure:
    """The measure with the time that a field states, if it is there; `WrongShape` for what is no time."""
    if field not in measure.values:
        return measure
    stated = measure.values[field]
    values = measure.values if keeps else {name: value for name, value in measure.values.items() if name != field}
    return measure._replace(values=values, observed_at=_instant(stated, field))


def _instant(stated: object, field: str) -> datetime:
    if isinstance(stated, str) and "T" in stated:
        return iso_instant(stated, field)
    seconds = number(stated, f"field {field}")
    return unix_instant(seconds / 1000 if seconds >= MILLISECONDS_FROM else seconds, field)
