"""`medina agent devices`, `tail`, `rejected` and `replay`: what they ask of a running agent, and how they show it."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.errors import ConfigurationError

ANSWER_WITHIN_S = 30.0
_SHOWN_CHARACTERS = 60


def asked(url: str, path: str, parameters: Mapping[str, object], body: object = None) -> Any:
    """Return the JSON an agent answers; `ConfigurationError` when there is none at that address."""
    with _opened(url, path, parameters, body) as answer:
        return orjson.loads(answer.read())


def lines(url: str, path: str, parameters: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    """Give the JSON objects that an agent tells, one a line, as they come."""
    with _opened(url, path, parameters, None) as answer:
        for line in answer:
            if line.strip():
                yield orjson.loads(line)


def _opened(url: str, path: str, parameters: Mapping[str, object], body: object) -> Any:
    given = {name: value for name, value in parameters.items() if value not in ("", False)}
    data = None if body is None else orjson.dumps(body)
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{url}: write it as http://host:port")
    request = Request(f"{url.rstrip('/')}{path}?{urlencode(given)}", data, {"Content-Type": "application/json"})  # noqa: S310 - checked above
    try:
        return urlopen(request, timeout=ANSWER_WITHIN_S)  # noqa: S310 - checked above
    except HTTPError as error:
        raise ConfigurationError(f"{url} answers {error.code}: {error.read().decode(errors='replace')}") from error
    except (URLError, TimeoutError) as error:
        raise ConfigurationError(f"No agent answers at {url}: {getattr(error, 'reason', error)}") from error


def show_devices(console: Console, devices: list[dict[str, Any]]) -> None:
    """A table of who speaks, and commands to provision those who are unknown."""
    table = Table(box=None)
    for heading in ("device", "apikey", "messages", "every", "last heard", "last payload", "errors", "last error"):
        table.add_column(heading, justify="right" if heading in ("messages", "every", "errors") else "left")
    for one in devices:
        error = one.get("lastError", {})
        dropped = f" ({one['dropped']} dropped)" if one["dropped"] else ""
        table.add_row(
            escape(one["device"]),
            escape(one["apikey"]),
            str(one["messages"]),
            f"{one['intervalSeconds']:g} s" if one["intervalSeconds"] else "",
            one["lastHeard"],
            escape(one["lastPayload"][:_SHOWN_CHARACTERS]),
            f"{one['errors'] or ''}{dropped}",
            escape(f"{error['reason']}: {error['detail']}" if error else ""),
        )
    console.print(table)
    if commands := [one["provision"] for one in devices if "provision" in one]:
        console.print("\nNot provisioned yet; choose a service and a type:", style="bold")
        for command in commands:
            console.print(command, markup=False, highlight=False, soft_wrap=True)


def show_message(console: Console, told: Mapping[str, Any]) -> None:
    """One message, one line."""
    style = "green" if told["outcome"] == "stored" else "yellow" if told["outcome"] == "duplicate" else "red"
    about = " ".join(told["entities"]) or told["detail"]
    console.print(
        f"{told['at']} [bold]{escape(told['device'])}[/bold] [{style}]{told['outcome']}[/{style}] "
        f"{escape(told['payload'])} {escape(about)}",
        highlight=False,
        soft_wrap=True,
    )


def show_rejected(console: Console, rejected: list[dict[str, Any]]) -> None:
    """A table of rejected messages; those with an id can be replayed."""
    table = Table(box=None)
    for heading in ("id", "at", "topic", "reason", "detail", "payload"):
        table.add_column(heading)
    for one in rejected:
        cells = (one["id"], one["at"], one["topic"], one["reason"], one["detail"], one["payload"])
        table.add_row(*(escape(cell[: 2 * _SHOWN_CHARACTERS]) for cell in cells))
    console.print(table)
