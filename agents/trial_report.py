"""The report of a trial for a terminal."""

from collections.abc import Iterable, Mapping

import orjson
from rich.console import Console
from rich.json import JSON
from rich.markup import escape
from rich.table import Table

from agents.profile import Profile
from agents.trial import MeasureTried, Trial

SHOWN_CHARACTERS = 60


def show_trial(console: Console, trial: Trial) -> None:
    """Print what has come of a message: measures, entities, remarks, and the problem with its way out."""
    sender = f", device {trial.device}" if trial.device else ""
    console.print(f"[bold]{escape(trial.profile)}[/] at {escape(trial.address)}{escape(sender)}", highlight=False)
    for measure in trial.measures:
        console.print(_fields(measure))
    for entity in trial.entities:
        console.print(JSON(orjson.dumps(entity).decode()))
    for remark in trial.remarks:
        console.print(f"[yellow]note[/] {escape(remark)}", highlight=False, soft_wrap=True)
    if trial.problem is None:
        many = "entity" if len(trial.entities) == 1 else "entities"
        console.print(f"[green]ok[/] {len(trial.entities)} {many}", highlight=False)
        return
    problem = trial.problem
    said = f"[red]failed[/] at the {problem.stage}: {problem.reason}: {escape(problem.text)}"
    console.print(said, highlight=False, soft_wrap=True)
    console.print(f"[bold]way out[/] {escape(problem.way_out)}", highlight=False, soft_wrap=True)


def show_profiles(console: Console, profiles: Mapping[str, Profile]) -> None:
    """Print the profiles there are, and where each of them listens."""
    table = Table("profile", "protocol", "topics and routes", box=None, pad_edge=False)
    for name, profile in profiles.items():
        places = _places(profile)
        table.add_row(name, profile.protocol, escape("\n".join(places)))
    console.print(table)


def _places(profile: Profile) -> Iterable[str]:
    shown = [scheme.pattern for scheme in profile.topics[:3]]
    shown += [f"and {len(profile.topics) - 3} more"] if len(profile.topics) > 3 else []
    return [*shown, *(f"HTTP {route.pattern}" for route in profile.routes)]


def _fields(measure: MeasureTried) -> Table:
    about = [measure.kind or "measure", measure.observed_at or "states no time"]
    table = Table("field", "value", "unit", "becomes", title=escape(", ".join(about)), title_justify="left")
    for field in measure.fields:
        value = orjson.dumps(field.value, default=str).decode() if not isinstance(field.value, str) else field.value
        cut = value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}…"
        table.add_row(escape(field.name), escape(cut), field.unit or "", escape(field.becomes))
    return table
