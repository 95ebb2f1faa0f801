"""S2: update one attribute of an entity, with a value it did not have."""

from __future__ import annotations

from itertools import count

from tests.bench import cameras, wrk
from tests.bench.scenario import WARM_UP_S, Outcome, Scenario, http_load, lua_camera_path, outcome
from tests.end_to_end.city import HEADERS, City

ATTRIBUTE = "peopleCount"
REQUESTS_MAX = 10_000_000  # of one run
_runs = count(1)


def script() -> str:
    """Lua that writes numbers which no request of any run wrote before: a value that is there already changes nothing.

    The receiver of S6 tells by the numbers which updates arrived.
    """
    return f"""{lua_camera_path("/attrs")}
local headers = {wrk.lua_headers(HEADERS)}
local body = '{{"{ATTRIBUTE}":{{"type":"Property","value":%d,"observedAt":"{cameras.OBSERVED_AT}"}}}}'
local number = {next(_runs) * REQUESTS_MAX}
request = function()
  number = number + 1
  return wrk.format("PATCH", path(), headers, string.format(body, number))
end
"""


def run(city: City, seconds: float) -> Outcome:
    """PATCH /entities/{id}/attrs of any of the cameras."""
    return outcome(http_load(city, script(), seconds))


SCENARIO = Scenario(
    "S2", "update one attribute", "req/s", run, lambda city: run(city, WARM_UP_S), floor="F1", factor=0.4
)
