"""S5: a query by type and value that finds 20 of 10,000 entities; S5M: 20 of 1,000,000 (only when it is named)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.bench import cameras, wrk
from tests.bench.scenario import ENTITIES, WARM_UP_S, Outcome, Scenario, http_load, outcome
from tests.end_to_end.city import HEADERS, City

FOUND = 20
BATCH = 1_000


def load(city: City, kind: str, count: int) -> None:
    """Creates the entities, each with a temperature of its own."""
    for first in range(0, count, BATCH):
        batch = [
            {**cameras.camera(f"urn:ngsi-ld:{kind}:{number:07}", temperature=number), "type": kind}
            for number in range(first, first + BATCH)
        ]
        answer = city.api("POST", "/entityOperations/upsert", batch)
        assert answer.status in (201, 204), answer


def script(kind: str, count: int) -> str:
    """Lua that asks for twenty neighbouring temperatures, anywhere."""
    return f"""
local headers = {wrk.lua_headers({"Link": HEADERS["Link"]})}
request = function()
  local low = math.random(0, {count - FOUND})
  local q = string.format("temperature==%d..%d", low, low + {FOUND - 1})
  return wrk.format("GET", "{ENTITIES}?type={kind}&q=" .. q, headers)
end
"""


def run(kind: str, count: int, city: City, seconds: float) -> Outcome:
    """GET /entities with type and q."""
    return outcome(http_load(city, script(kind, count), seconds))


def warm_up(kind: str, count: int) -> Callable[[City], Outcome]:
    """Loads the entities, then asks for a while."""

    def loaded(city: City) -> Outcome:
        load(city, kind, count)
        return run(kind, count, city, WARM_UP_S)

    return loaded


def _scenario(name: str, kind: str, count: int) -> Scenario:
    title = f"type + q, {FOUND} of {count:,}"
    return Scenario(name, title, "req/s", partial(run, kind, count), warm_up(kind, count), floor="F1", factor=0.1)


SCENARIO = _scenario("S5", "TenThousand", 10_000)
MILLION = _scenario("S5M", "Million", 1_000_000)
