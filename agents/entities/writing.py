"""What the mappings have in common: the time of a measure, and the JSON of an entity."""

from collections.abc import Mapping

import orjson

from agents.clock import Observed
from agents.errors import WrongShape
from agents.fragment import json_of
from ngsi.datetimes import system_text

_OWN_WORD = frozenset({"device", "late"})


def stated_time(seen: Observed, *, always: bool) -> str | None:
    """Return `observedAt`; None when only a device's own word counts and there is none."""
    return system_text(seen.at) if always or seen.verdict in _OWN_WORD else None


def dumped(entity: Mapping[str, object]) -> bytes:
    """Return the JSON of an entity; `WrongShape` when a value is nested too deeply or is no JSON."""
    try:
        return json_of(entity)
    except orjson.JSONEncodeError as error:
        raise WrongShape("a value is nested too deeply, or is a number beyond 64 bits") from error
