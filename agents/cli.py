"""The commands `medina agent`, and below it `try`, `profiles`, `devices`, `tail`, `rejected`, `replay`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.trial import Question

agent = typer.Typer(invoke_without_command=True, no_args_is_help=False, pretty_exceptions_enable=False)


@agent.callback()
def run(context: typer.Context) -> None:
    """Take in the measures of devices over MQTT and HTTP and write them to the context broker."""
    if context.invoked_subcommand is None:
        _serve()


def _serve() -> None:
    import gc

    import uvloop

    from agents.agent import Agent, run_until_signalled
    from agents.logs import configure_logging
    from agents.settings import read_settings

    with _refusing():
        settings = read_settings()
        configure_logging(settings.log_level)
        made = Agent(settings)
    # Measures make many objects and hardly a cycle: the collector's usual rhythm would only cost time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    uvloop.run(run_until_signalled(made))


@agent.command("try")
def try_profile(
    profile: Annotated[str, typer.Argument(help="Name of a profile, or a profile file.")],
    payload: Annotated[str, typer.Argument(help="The payload; @FILE: what is in the file, -: what comes in.")],
    topic: Annotated[str, typer.Option(help="Topic it comes by.")] = "",
    route: Annotated[str, typer.Option(help="HTTP path it comes by.")] = "",
    device: Annotated[str, typer.Option(help="Id of the device, where no topic or route tells it.")] = "",
    entity_type: Annotated[str, typer.Option("--type", help="Type of the entity of a device that is made up.")] = "",
    devices: Annotated[Path | None, typer.Option(help="Device file with the devices there are.")] = None,
    settings: Annotated[list[str], typer.Option("--set", help="NAME=VALUE: a setting of the made-up device.")] = [],  # noqa: B006 - typer reads the default
    at: Annotated[str, typer.Option(help="Time of reception, ISO 8601; default: now.")] = "",
) -> None:
    """Show what a message becomes, or where and why it fails: exit code 0 or 1. Needs no server, stores nothing."""
    from rich.console import Console

    from agents.trial import attempt
    from agents.trial_question import Asked, pseudonyms, question_of
    from agents.trial_report import show_trial

    with _refusing():
        asked = Asked(profile, _payload(payload), topic or route, device, entity_type, devices, tuple(settings), at)
        question: Question = question_of(asked)
        trial = attempt(question, pseudonyms())
    show_trial(Console(), trial)
    raise typer.Exit(0 if trial.problem is None else 1)


@agent.command()
def profiles(
    devices: Annotated[Path | None, typer.Option(help="Device file that names a folder of further profiles.")] = None,
) -> None:
    """List the profiles there are, and the topics and routes they read."""
    from rich.console import Console

    from agents.trial_question import known_profiles
    from agents.trial_report import show_profiles

    with _refusing():
        show_profiles(Console(), known_profiles(devices))


Url = Annotated[str, typer.Option(envvar="MEDINA_AGENT_URL", help="Where the agent's port 4041 is.")]
Reason = Annotated[str, typer.Option(help="Only those with this reason.")]
Topic = Annotated[str, typer.Option(help="Only those of this topic.")]
_LOCAL = "http://127.0.0.1:4041"


@agent.command()
def commands(
    device: Annotated[str, typer.Option(help="Only those of this device.")] = "",
    apikey: Annotated[str, typer.Option(help="Only those of devices with this apikey.")] = "",
    status: Annotated[str, typer.Option(help="Only those in this status, e.g. PENDING.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at the most.")] = 20,
    url: Url = _LOCAL,
) -> None:
    """Show what became of the latest commands, asked of a running agent."""
    from rich.console import Console

    from agents.commands.report import show_commands

    with _refusing():
        query: dict[str, str | int] = {"device": device, "apikey": apikey, "status": status, "limit": limit}
        show_commands(Console(), url, query)


@agent.command()
def devices(
    device: Annotated[str, typer.Argument(help="Only this one.")] = "",
    unknown: Annotated[bool, typer.Option(help="Only those that nobody has provisioned.")] = False,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    url: Url = _LOCAL,
) -> None:
    """Show who speaks to a running agent: how often, when last, the last payload and error."""
    from rich.console import Console

    from agents.cli_insight import asked, show_devices

    with _refusing():
        show_devices(Console(), asked(url, "/devices", {"device": device, "unknown": unknown, "limit": limit}))


@agent.command()
def tail(
    device: Annotated[str, typer.Argument(help="Only this one.")] = "",
    failed: Annotated[bool, typer.Option(help="Only what is not stored.")] = False,
    url: Url = _LOCAL,
) -> None:
    """Show messages as a running agent is done with them, until Ctrl-C."""
    from rich.console import Console

    from agents.cli_insight import lines, show_message

    console = Console()
    try:
        with _refusing():
            for told in lines(url, "/tail", {"device": device, "failed": failed}):
                show_message(console, told)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@agent.command()
def rejected(
    reason: Reason = "",
    topic: Topic = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    url: Url = _LOCAL,
) -> None:
    """Show messages that could not be stored, newest first; those with an id can be replayed."""
    from rich.console import Console

    from agents.cli_insight import asked, show_rejected

    with _refusing():
        show_rejected(Console(), asked(url, "/rejected", {"reason": reason, "topic": topic, "limit": limit}))


@agent.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of messages; none: those of the options.")] = None,
    reason: Reason = "",
    topic: Topic = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 1000,
    url: Url = _LOCAL,
) -> None:
    """Convert rejected messages again, after a profile was mended or a device provisioned."""
    from agents.cli_insight import asked

    body = {"ids": ids or [], "reason": reason, "topic": topic, "limit": limit}
    with _refusing():
        told = asked(url, "/rejected/replay", {}, body)
    typer.echo(f"stored {told['stored']}, rejected again {told['rejected']}, payload not kept {told['notKept']}")


def _payload(given: str) -> bytes:
    """What is given, what is in the file it names, or what comes in."""

    if given == "-":
        return typer.get_binary_stream("stdin").read()
    if not given.startswith("@"):
        return given.encode("utf-8", "surrogateescape")
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{given[1:]}: {error.strerror}") from error


@contextmanager
def _refusing() -> Iterator[None]:
    """End the command with exit code 2, and one line, when what it was given or found cannot be used."""
    try:
        yield
    except ConfigurationError as error:
        typer.echo(f"medina agent: {error}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    agent()
