"""The command line: `medina up | broker | notifier | agent | pilot NAME | simulate NAME | …`.

Commands of the packages that `broker` must not import are found by the entry point group `medina.commands`. What an
operator can repair is said in one message on stderr with exit code 2; a traceback is a defect of Medina.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated

import typer

from broker.errors import SettingsError
from broker.supervisor.errors import StartError
from broker.supervisor.settings import settings_problem

app = typer.Typer(
    name="medina",
    help="NGSI-LD context broker for innovation cities: MQTT devices in, entities and notifications out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"medina {version('medina')}")
        raise typer.Exit


@app.callback()
def medina(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """NGSI-LD context broker for innovation cities: MQTT devices in, entities and notifications out."""


@app.command()
def up() -> None:
    """Start everything on this machine: servers, roles, the pilot page and a simulated campus (DEMO=0: without)."""
    from broker.supervisor.up import run

    raise typer.Exit(run())


@app.command()
def broker() -> None:
    """Serve the context API (NGSI-LD)."""
    from broker.serve import serve_context_api

    serve_context_api()


@app.command()
def notifier() -> None:
    """Send the notifications of all subscriptions."""
    from broker.serve import run_notifier

    run_notifier()


@app.command()
def health(
    url: Annotated[str, typer.Argument(help="Address of a role, e.g. http://127.0.0.1:1026/ready.")],
) -> None:
    """Ask a role whether it is ready: exit code 0 or, with the reason on stderr, 1."""
    from broker.health import why_not_ready

    if reason := why_not_ready(url):
        typer.echo(f"{url}: {reason}", err=True)
        raise typer.Exit(1)


@app.command()
def initiate(
    address: Annotated[str, typer.Argument(help="host:port by which every client reaches the server.")],
    within_s: Annotated[float, typer.Option(help="Patience in seconds.")] = 60.0,
) -> None:
    """Make a fresh MongoDB server (started with --replSet) a replica set of one; harmless when it is one already."""
    from broker.storage.mongo_replica import become_primary

    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise StartError(f"{address!r} is no address: write host:port, e.g. mongo:27017.")
    become_primary(int(port), within_s, address, host)


@app.command()
def prepare(
    folder: Annotated[Path, typer.Argument(help="Where the files go; made when absent.")],
    mosquitto_uid: Annotated[int, typer.Option(help="User id of the MQTT broker's container.")] = 1883,
    medina_uid: Annotated[int, typer.Option(help="User id of Medina's containers.")] = 10001,
    device_topics: Annotated[
        str, typer.Option(envvar="MEDINA_DEVICE_TOPICS", help="Further topics devices may publish on: heat/#,gates/#")
    ] = "",
) -> None:
    """Write what a deployment needs once: MQTT users with passwords and rights, and the pseudonym key."""
    from broker.supervisor.deployment import prepare_secrets

    for line in prepare_secrets(folder, mosquitto_uid, medina_uid, device_topics=device_topics):
        typer.echo(line)


def _add_commands_of_other_packages(arguments: Sequence[str]) -> None:
    """Register the entry points: only the one invoked, so that a role loads nothing of another; all for the help."""
    entries = {entry.name: entry for entry in entry_points(group="medina.commands")}
    invoked = next((argument for argument in arguments if not argument.startswith("-")), None)
    wanted = [name for name in entries if name == invoked]
    if not arguments or arguments[0] == "--help":
        wanted = list(entries)
    for name in wanted:
        loaded = entries[name].load()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=name)
        else:
            app.command(name)(loaded)


def _read_secret_files() -> None:
    """Settings with a password may be given as files, as container engines hand them over."""
    for name in ("MONGODB_URI", "MQTT_URL", "MEDINA_OPERATOR_KEY"):
        if (path := os.environ.get(f"{name}_FILE")) and not os.environ.get(name):
            try:
                os.environ[name] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as problem:
                raise StartError(f"{name}_FILE names {path}, which cannot be read: {problem.strerror}.") from problem


def main() -> None:
    """Run the command of sys.argv."""
    try:
        _read_secret_files()
        _add_commands_of_other_packages(sys.argv[1:])
        app()
    except (StartError, SettingsError) as problem:
        _refuse(str(problem))
    except ValueError as problem:
        if (text := settings_problem(problem)) is None:
            raise
        _refuse(text)


def _refuse(text: str) -> None:
    typer.echo(f"medina: {text}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
