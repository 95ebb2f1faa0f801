"""The commands for a terminal, asked of a running agent."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.cli_insight import moment
from agents.errors import ConfigurationError

TIMEOUT_S = 10
SHOWN_CHARACTERS = 60
_COLOURS = {"OK": "green", "ERROR": "red", "EXPIRED": "red", "PENDING": "yellow"}


def show_commands(console: Console, url: str, query: Mapping[str, str | int]) -> None:
    """Print the commands that the agent at `url` tells of, newest last; `ConfigurationError` if it does not answer."""
    asked = {name: value for name, value in query.items() if value != ""}
    try:
        with urllib.request.urlopen(f"{url}/commands?{urlencode(asked)}", timeout=TIMEOUT_S) as answer:  # noqa: S310 - an http address of the operator
            told: dict[str, Any] = orjson.loads(answer.read())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the agent at {url} does not tell: {error}") from error
    table = Table(box=None, pad_edge=False)
    for heading in ("issued", "device", "command", "value", "status", "info", "last step"):
        table.add_column(heading, no_wrap=heading in ("issued", "device", "status"))
    newest = max((command["issuedAt"] for command in told["commands"]), default="")
    for command in reversed(told["commands"]):
        colour = _COLOURS.get(command["status"], "white")
        values = (_short(command["value"]), f"[{colour}]{command['status']}[/]", _short(command["info"]))
        last = command["history"][-1]["note"] if command["history"] else ""
        issued = moment(command["issuedAt"], newest)
        table.add_row(issued, escape(command["device"]), escape(command["command"]), *values, escape(last))
    console.print(table)
    console.print(f"{len(told['commands'])} of {told['count']}", highlight=False)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return escape(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…")
