"""S1: retrieve an entity by id."""

from __future__ import annotations

from tests.bench import wrk
from tests.bench.scenario import WARM_UP_S, Outcome, Scenario, http_load, lua_camera_path, outcome
from tests.end_to_end.city import HEADERS, City

SCRIPT = f"""{lua_camera_path()}
local headers = {wrk.lua_headers({"Link": HEADERS["Link"]})}
request = function() return wrk.format("GET", path(), headers) end
"""


def run(city: City, seconds: float) -> Outcome:
    """Any of the cameras, normalized."""
    return outcome(http_load(city, SCRIPT, seconds))


SCENARIO = Scenario("S1", "retrieve by id", "req/s", run, lambda city: run(city, WARM_UP_S), floor="F1", factor=0.6)
