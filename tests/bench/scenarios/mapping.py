"""S9: S7 with all that the mapping can do: 10,000 devices that join a group, ten attributes, two expressions."""

from __future__ import annotations

from functools import partial

from tests.bench.scenario import Outcome, Scenario
from tests.bench.scenarios.measures import PER_SECOND, Fleet, measure
from tests.end_to_end.city import CONTEXT, City

DEVICES = 10_000
KEY = "full"
PLAIN_FIELDS = 6
MORE = ",".join(f'"f{number}":{number}.5' for number in range(PLAIN_FIELDS)) + ',"t":68.5,"h":41'
FLEET = Fleet(DEVICES, "Meter", {"topic": f"/json/{KEY}/{{device}}/attrs", "prefix": "meter-", "more": MORE})

GROUP = {
    "resource": "/iot/json",
    "apikey": KEY,
    "entity_type": "Meter",
    "jsonLdContext": CONTEXT,
    "explicitAttrs": True,
    "static_attributes": [{"name": "refZone", "type": "Relationship", "value": "urn:ngsi-ld:Zone:1"}],
    "attributes": [
        {"object_id": "n", "name": "n", "type": "Number"},
        {"object_id": "sent", "name": "sent", "type": "Number"},
        *({"object_id": f"f{number}", "name": f"field{number}", "type": "Number"} for number in range(PLAIN_FIELDS)),
        {
            "object_id": "t",
            "name": "temperature",
            "type": "Number",
            "expression": "(t - 32) / 1.8",
            "metadata": {"unitCode": {"type": "Text", "value": "CEL"}},
        },
        {"object_id": "h", "name": "humidity", "type": "Number", "expression": "h > 100 ? 100 : h"},
    ],
}


def run(city: City, seconds: float, rate: float = 0) -> Outcome:
    """As S7; at least one measure of each device."""
    count = max(DEVICES, int(seconds * (rate or PER_SECOND)))
    return measure(city, count, rate, FLEET)


def join(city: City) -> None:
    """Provision the group, once, and let every device join it."""
    if city.api("GET", "/entities?type=Meter&limit=1").json() == []:
        city.provision(GROUP)
    measure(city, DEVICES, 0, FLEET)


def at_a_steady_rate(city: City, seconds: float, rate: float) -> Outcome:
    """A hundred of the devices, so that the run stays as short as the others."""
    return measure(city, int(seconds * rate), rate, Fleet(100, FLEET.entity_type, FLEET.options))


SUSTAINED = Scenario(
    "S9", "10 attributes, 2 expressions, 10,000 devices", "measures/s", run, join, floor="F2", factor=0.15
)
LATENCY = Scenario(
    "S9@500", "the same at 500/s", "measures/s", partial(at_a_steady_rate, rate=500), join, p50_limit_ms=15.0
)
