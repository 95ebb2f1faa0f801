"""What a scenario is, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.bench import cameras, wrk
from tests.end_to_end.city import City
from tests.end_to_end.process import Usage

WARM_UP_S = 1.5
ENTITIES = "/ngsi-ld/v1/entities"


@dataclass(frozen=True)
class Outcome:
    """Figures of one run; `problem` says why it cannot count (something lost, refused, out of order)."""

    rate: float
    p50_ms: float
    p99_ms: float
    problem: str = ""
    floor_rate: float = 0.0  # of the scenario's floor, measured right before and after; or a rate of its own
    facts: Mapping[str, float] = field(default_factory=dict)  # other figures, by what they are and their unit
    usage: Mapping[str, Usage] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Rate in units of the floor's; 0 without a floor."""
        return self.rate / self.floor_rate if self.floor_rate else 0.0


@dataclass(frozen=True)
class Scenario:
    """One row of the table.

    `run(city, seconds)` measures; `warm_up(city)` comes before. The target is `factor` times the rate of `floor`, or of
    what `run` itself measured as `own_floor`, or a `p50_limit_ms`.
    """

    name: str
    title: str
    unit: str
    run: Callable[[City, float], Outcome]
    warm_up: Callable[[City], object]
    floor: str = ""
    own_floor: str = ""
    factor: float = 0.0
    p50_limit_ms: float = 0.0

    def passed(self, outcome: Outcome) -> bool:
        """Whether the target is met with nothing lost."""
        fast = outcome.p50_ms <= self.p50_limit_ms if self.p50_limit_ms else outcome.ratio >= self.factor
        return fast and not outcome.problem


def http_load(city: City, script: str, seconds: float, connections: int = wrk.CONNECTIONS) -> wrk.Answered:
    """Load the context API of `city` with wrk."""
    return wrk.run(f"http://127.0.0.1:{city.ports['broker']}", script, seconds, connections)


def outcome(answered: wrk.Answered, per_request: int = 1) -> Outcome:
    """Figures of an HTTP load whose requests carry `per_request` entities each."""
    problem = f"{answered.failed} requests failed" if answered.failed else ""
    return Outcome(answered.rate * per_request, answered.p50_ms, answered.p99_ms, problem)


def lua_camera_path(suffix: str = "") -> str:
    """Lua function `path()` that gives the path of one of the cameras at random."""
    assert cameras.camera_id(0).endswith("0000")
    stem = cameras.camera_id(0).removesuffix("0000")
    return f"""
local function path()
  return string.format("{ENTITIES}/{stem}%04d{suffix}", math.random(0, {cameras.COUNT - 1}))
end
"""
