"""`medina pilot` and `medina simulate`: find the pilot by its folder and run it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pilots.errors import PilotError, UnknownPilot
from pilots.simulation import SimulationOptions

FOLDER: Final = Path(__file__).parent
EXIT_CONFIGURATION: Final = 2


def pilot(name: Annotated[str, typer.Argument(help="Which pilot: a folder of pilots/ with an app.py.")]) -> None:
    """Run a pilot application: its page and its subscription."""
    with _explained():
        app = _module(name, "app")
        from pilots.settings import PilotSettings

        app.run(PilotSettings.from_environment())


def simulate(
    name: Annotated[str, typer.Argument(help="Which pilot's devices to play, e.g. campus.")],
    seed: Annotated[int, typer.Option(help="Same seed and --start: same messages, byte for byte.")] = 1,
    people: Annotated[int, typer.Option(min=1, max=100_000, help="Visitors and employees of the day.")] = 250,
    speed: Annotated[str, typer.Option(help="Times faster than real time, or 'max' for no pauses.")] = "1",
    start: Annotated[
        str | None, typer.Option(help="Device time of 07:00, e.g. 2026-03-02T06:00:00Z; now if not given.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play day after day until stopped.")] = False,
    mqtt_url: Annotated[
        str,
        typer.Option(envvar="MQTT_URL", help="mqtt://host:port or mqtt://user:password@host:port", show_envvar=True),
    ] = "mqtt://127.0.0.1:1883",
    clean: Annotated[
        bool, typer.Option("--clean", help="No duplicates, delays, strangers or broken messages.")
    ] = False,
    duration: Annotated[
        float | None, typer.Option(min=1, help="Play only the first minutes of the day (of its schedule).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print topic, tab, payload of each message instead of sending it.")
    ] = False,
) -> None:
    """Play a pilot's devices over MQTT: a day of messages, with the dirt of reality."""
    pace, begin = _pace(speed), _moment(start)
    with _explained():
        _module(name, "simulator.app").run(
            SimulationOptions(seed, people, pace, begin, loop, mqtt_url, clean, duration, dry_run)
        )


def available(module: str) -> list[str]:
    """Names of the pilots that have this module."""
    path = Path(*module.split(".")).with_suffix(".py")
    return sorted(folder.name for folder in FOLDER.iterdir() if (folder / path).is_file())


def _module(name: str, module: str) -> Any:
    names = available(module)
    if name not in names:
        raise UnknownPilot(f"There is no pilot {name!r} with {module}; there are: {', '.join(names) or 'none'}.")
    return import_module(f"pilots.{name}.{module}")


@contextmanager
def _explained() -> Iterator[None]:
    """A PilotError becomes one line on standard error and exit code 2."""
    try:
        yield
    except PilotError as error:
        typer.echo(f"medina: {error}", err=True)
        raise typer.Exit(EXIT_CONFIGURATION) from error


def _pace(text: str) -> float:
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise typer.BadParameter("give a positive number or 'max'", param_hint="--speed")
    return speed


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time", param_hint="--start") from None
    if moment.tzinfo is None:
        raise typer.BadParameter("say the offset too, e.g. 2026-03-02T06:00:00Z", param_hint="--start")
    return moment
