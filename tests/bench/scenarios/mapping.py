"""S9: S7 with all that the mapping can do: ten attributes, two expressions, 10,000 devices that join a group.

Their profile names what copies of a measure have in common, so the agent remembers each.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.bench.scenario import Outcome, Scenario
from tests.bench.scenarios.measures import PER_SECOND, Fleet, measure
from tests.end_to_end.city import City

DEVICES = 10_000
PLAIN_FIELDS = 6
MORE = ",".join(f'"f{number}":{number}.5' for number in range(PLAIN_FIELDS)) + ',"t":68.5,"h":41'
FLEET = Fleet(DEVICES, "Meter", {"topic": "full/{device}", "prefix": "meter-", "more": MORE})

PROFILE = """
protocol = "iotagent_json"
topics = ["full/{device}"]
device = "{device}"
dedup = "{n}-{sent}"
"""
FIELDS = "\n".join(f'f{number} = {{ name = "field{number}" }}' for number in range(PLAIN_FIELDS))
GROUP = f"""
[[group]]
profile = "full"
entity_type = "Meter"
autoprovision = true
explicitAttrs = true

[group.static]
refZone = {{ kind = "Relationship", value = "urn:ngsi-ld:Zone:1" }}

[group.attributes]
n = {{ name = "n" }}
sent = {{ name = "sent" }}
{FIELDS}
t = {{ name = "temperature", unit = "CEL", expression = "(t - 32) / 1.8" }}
h = {{ name = "humidity", expression = "h > 100 ? 100 : h" }}
"""


def prepare(folder: Path) -> None:
    """Add profile and group to the device file of a city in `folder` that is not started yet."""
    (folder / "profiles").mkdir()
    (folder / "profiles" / "full.toml").write_text(PROFILE)
    devices = folder / "devices.toml"
    devices.write_text(f'profiles = "profiles"\n{devices.read_text()}{GROUP}')


def run(city: City, seconds: float, rate: float = 0) -> Outcome:
    """As S7; at least one measure of each device."""
    count = max(DEVICES, int(seconds * (rate or PER_SECOND)))
    return measure(city, count, rate, FLEET)


def join(city: City) -> None:
    """Let every device join the group."""
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
