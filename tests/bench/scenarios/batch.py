"""S4: batch upsert of 100 entities that exist, each replaced whole (no options=update)."""

from __future__ import annotations

import json

from tests.bench import cameras, wrk
from tests.bench.scenario import WARM_UP_S, Outcome, Scenario, http_load, outcome
from tests.end_to_end.city import HEADERS, City

SIZE = 100
PATH = "/ngsi-ld/v1/entityOperations/upsert"


def script() -> str:
    """Lua that upserts one hundred of the cameras after the other; the temperatures are those of no batch before."""
    sample = json.dumps(cameras.camera("<id>", temperature=-1))
    head, _, rest = sample.partition("<id>")
    middle, _, tail = rest.partition("-1")
    stem = cameras.camera_id(0).removesuffix("0000")
    return f"""
local headers = {wrk.lua_headers(HEADERS)}
local head, middle, tail = {wrk.lua_string(head)}, {wrk.lua_string(middle)}, {wrk.lua_string(tail)}
local number = 0
request = function()
  local parts = {{}}
  for i = 1, {SIZE} do
    local id = string.format("{stem}%04d", number % {cameras.COUNT})
    parts[i] = head .. id .. middle .. string.format("%.3f", number / 1000) .. tail
    number = number + 1
  end
  return wrk.format("POST", "{PATH}", headers, "[" .. table.concat(parts, ",") .. "]")
end
"""


def run(city: City, seconds: float) -> Outcome:
    """POST /entityOperations/upsert."""
    return outcome(http_load(city, script(), seconds), per_request=SIZE)


SCENARIO = Scenario(
    "S4", "batch upsert of 100", "entities/s", run, lambda city: run(city, WARM_UP_S), floor="F2", factor=0.6
)
