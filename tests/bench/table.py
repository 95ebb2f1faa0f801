"""The figures as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.floors import TITLES
from tests.bench.scenario import Outcome, Scenario
from tests.end_to_end.process import Usage

ROLES = ("broker", "notifier", "agent", "mongod", "mqtt")
Results = Sequence[tuple[Scenario, Outcome]]


def show(results: Results, floors: Mapping[str, float], console: Console) -> None:
    """Print floors and scenarios."""
    table = Table(title="peak memory (MB) and CPU (s) of each role", title_justify="right")
    for heading in ("", "scenario", "rate", "p50 ms", "p99 ms", "ratio", "target", "", *ROLES):
        left = heading in ("", "scenario")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for name, rate in floors.items():
        title, unit = TITLES[name]
        table.add_row(name, title, f"{rate:,.0f} {unit}", style="dim")
    table.add_section()
    for scenario, outcome in results:
        table.add_row(*_cells(scenario, outcome))
    console.print(table)
    for scenario, outcome in results:
        if outcome.facts:
            facts = " · ".join(f"{name} {value:,.1f}" for name, value in outcome.facts.items())
            console.print(f"{scenario.name}: {facts}")


def _cells(scenario: Scenario, outcome: Outcome) -> list[str]:
    if scenario.p50_limit_ms:
        ratio, target = "", f"p50 ≤ {scenario.p50_limit_ms:g} ms"
    else:
        ratio, target = f"{outcome.ratio:.2f}", f"≥ {scenario.factor:g} x {scenario.floor or scenario.own_floor}"
    verdict = "[green]pass" if scenario.passed(outcome) else f"[red]miss {outcome.problem}"
    rate = f"{outcome.rate:,.0f} {scenario.unit}"
    latency = [f"{outcome.p50_ms:.1f}", f"{outcome.p99_ms:.1f}"]
    return [scenario.name, scenario.title, rate, *latency, ratio, target, verdict, *_usage(outcome.usage)]


def _usage(usage: Mapping[str, Usage]) -> list[str]:
    return [f"{usage[role].peak_mb:.0f} · {usage[role].cpu_s:.1f}" if role in usage else "" for role in ROLES]


def as_json(results: Results, floors: Mapping[str, float], machine: Mapping[str, object]) -> dict[str, Any]:
    """Everything of the run."""
    return {
        "machine": dict(machine),
        "floors": {name: {"rate": round(rate, 1), "unit": TITLES[name][1]} for name, rate in floors.items()},
        "scenarios": [_row(scenario, outcome) for scenario, outcome in results],
    }


def _row(scenario: Scenario, outcome: Outcome) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "title": scenario.title,
        "unit": scenario.unit,
        "rate": round(outcome.rate, 1),
        "p50_ms": round(outcome.p50_ms, 3),
        "p99_ms": round(outcome.p99_ms, 3),
        "floor": scenario.floor or scenario.own_floor,
        "floor_rate": round(outcome.floor_rate, 1),
        "ratio": round(outcome.ratio, 3),
        "target_ratio": scenario.factor,
        "target_p50_ms": scenario.p50_limit_ms,
        "passed": scenario.passed(outcome),
        "problem": outcome.problem,
        "facts": dict(outcome.facts),
        "roles": {name: asdict(usage) for name, usage in outcome.usage.items()},
    }
