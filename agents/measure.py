"""What a device said, after its protocol has been taken away."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

TopicParts = Mapping[str, str]
"""The named parts of a topic, e.g. {"apikey": "campus", "device": "zs-hall"}; see `agents.topics`."""

RESULT = "result"
"""Kind of a measure that is the result of commands: {command: result}."""
CONFIGURATION = "configuration"
"""Kind of a measure that asks for configuration: {"type": "configuration" or "subscription", "fields": [name, …]}."""

FOREIGN = "foreign"
"""Kind of a measure of a message that no device has sent, though it came by a device's topic: one *to* the device, or
what clears a retained one."""
LIVENESS = "liveness"
"""Kind of a measure that says whether the device is there: {"online": bool}."""

NO_UNITS: Mapping[str, str] = MappingProxyType({})


class Measure(NamedTuple):
    """One report of one device.

    `values` are JSON values under the names the device uses. `observed_at` is the device's own time: aware, or naive
    where the device states wall time without a zone, or None where it states none. `kind` tells apart the messages of a
    protocol that has several ("access", "heartbeat"); empty where there is only one. `units` are those that the message
    itself states, as UN/CEFACT codes by field.
    """

    values: Mapping[str, object]
    observed_at: datetime | None = None
    kind: str = ""
    units: Mapping[str, str] = NO_UNITS
