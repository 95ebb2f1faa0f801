"""S3: create entities."""

from __future__ import annotations

import json
from itertools import count

from tests.bench import cameras, wrk
from tests.bench.scenario import ENTITIES, WARM_UP_S, Outcome, Scenario, http_load, outcome
from tests.end_to_end.city import HEADERS, City

_runs = count(1)


def script(run_number: int) -> str:
    """Lua that creates cameras whose ids no other run uses."""
    head, _, tail = json.dumps(cameras.camera("<id>")).partition("<id>")
    return f"""
local headers = {wrk.lua_headers(HEADERS)}
local head, tail = {wrk.lua_string(head)}, {wrk.lua_string(tail)}
local number = 0
request = function()
  number = number + 1
  local id = string.format("urn:ngsi-ld:ThermalCamera:new-{run_number}-%d", number)
  return wrk.format("POST", "{ENTITIES}", headers, head .. id .. tail)
end
"""


def run(city: City, seconds: float) -> Outcome:
    """POST /entities, each with a new id."""
    return outcome(http_load(city, script(next(_runs)), seconds))


SCENARIO = Scenario("S3", "create", "req/s", run, lambda city: run(city, WARM_UP_S), floor="F1", factor=0.3)
