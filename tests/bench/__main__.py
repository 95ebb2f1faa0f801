"""`python -m tests.bench [scenario …] [--seconds N]`: run scenarios on a Medina of their own and print a table.

Exit code 0 even where a target is missed (figures of a busy machine are no verdict), 1 when the run itself failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean

import orjson
from rich.console import Console

from tests.bench import cameras, machine, table, wrk
from tests.bench.errors import BenchError, ScenarioUnknown
from tests.bench.floors import Floors, floor_app
from tests.bench.scenario import Outcome, Scenario
from tests.bench.scenarios import ALL, WHEN_NAMED, mapping
from tests.bench.scenarios.update import ATTRIBUTE
from tests.end_to_end.city import City
from tests.end_to_end.process import Usage

REPORT = Path("build/bench.json")


def chosen(names: list[str]) -> list[Scenario]:
    """The scenarios with these names, all without any; `S7` means every scenario whose name begins so."""
    every = [*ALL, *WHEN_NAMED]
    unknown = [name for name in names if not any(one.name.startswith(name) for one in every)]
    if unknown:
        known = ", ".join(scenario.name for scenario in every)
        raise ScenarioUnknown(f"There is no scenario {', '.join(unknown)}; known: {known}")
    if not names:
        return list(ALL)
    return [one for one in every if one.name in names or (one in ALL and any(map(one.name.startswith, names)))]


def load_cameras(city: City) -> None:
    """Create the entities, as many as the scenarios expect."""
    for first in range(0, cameras.COUNT, 100):
        batch = [cameras.camera(cameras.camera_id(number)) for number in range(first, first + 100)]
        answer = city.api("POST", "/entityOperations/upsert", batch)
        assert answer.status in (201, 204), answer


def run(city: City, floors: Floors, scenario: Scenario, seconds: float) -> Outcome:
    """Warm up and measure between two measurements of the floor: others may use the machine, and not evenly."""
    scenario.warm_up(city)
    around = [floors.measure(scenario.floor)] if scenario.floor else []
    outcome = observed(city, scenario, seconds)
    around += [floors.measure(scenario.floor)] if scenario.floor else []
    return replace(outcome, floor_rate=mean(around) if around else outcome.floor_rate)


def observed(city: City, scenario: Scenario, seconds: float) -> Outcome:
    """Measure, and add what each role used."""
    before = {}
    for name, part in city.parts.items():
        part.reset_peak()
        before[name] = part.usage()
    outcome = scenario.run(city, seconds)
    after = {name: part.usage() for name, part in city.parts.items()}
    used = {name: Usage(usage.cpu_s - before[name].cpu_s, usage.peak_mb) for name, usage in after.items()}
    return replace(outcome, usage=used)


def bench(scenarios: list[Scenario], seconds: float, folder: Path, console: Console) -> None:
    """Start a city, measure, print and write the report."""
    city = City(folder, numbers=("n", ATTRIBUTE))
    mapping.prepare(folder)
    with console.status("starting …") as status, floor_app(folder) as floor_url:
        try:
            city.start(*city.parts)
            load_cameras(city)
            floors = Floors(city, floor_url)
            results = []
            for scenario in scenarios:
                status.update(f"{scenario.name} {scenario.title} …")
                results.append((scenario, run(city, floors, scenario, seconds)))
            status.update("floors …")
            for name, measured in floors.rates.items():
                if not measured:
                    floors.measure(name)
        finally:
            city.stop()
    rates = floors.means()
    table.show(results, rates, console)
    facts = machine.facts()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(orjson.dumps(table.as_json(results, rates, facts), option=orjson.OPT_INDENT_2))
    console.print(" · ".join(f"{name} {value}" for name, value in facts.items()), style="dim")
    console.print(f"written to {REPORT}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Benchmarks of Medina.")
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=" ".join(one.name for one in ALL))
    parser.add_argument("--seconds", type=float, default=6, help="duration of each scenario (default 6)")
    parser.add_argument("--keep", type=Path, help="folder for logs and data (default: a temporary one)")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 200)
    try:
        scenarios = chosen(arguments.scenarios)
        wrk.require()
        with tempfile.TemporaryDirectory(prefix="medina-bench-") as temporary:
            folder = arguments.keep or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            bench(scenarios, arguments.seconds, folder, console)
    except BenchError as problem:
        console.print(str(problem), style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
