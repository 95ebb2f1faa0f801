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
_HEADINGS = ("device", "apikey", "messages", "every", "last heard", "errors")
_RIGHT = frozenset({"messages", "every", "errors"})
_GAP = 2
_LEAST_PAYLOAD = 20
"""Where there is no room for as many characters, payloads are left out."""


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
    """A table of who speaks, the last errors, and commands to provision those who are unknown.

    Ids and times are never cut; of payloads as much is shown as the terminal has room for, or none.
    """
    if not devices:
        console.print("No such device has spoken to this agent since it started.")
        return
    newest = max(one["lastHeard"] for one in devices)
    rows = [_numbers(one, newest) for one in devices]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    room = console.width - sum(widths) - _GAP * len(widths)
    table = Table(box=None, pad_edge=False)
    for heading, width in zip(_HEADINGS, widths, strict=True):
        table.add_column(heading, justify="right" if heading in _RIGHT else "left", no_wrap=True, min_width=width)
    if room >= _LEAST_PAYLOAD:
        table.add_column("last payload", no_wrap=True)
    for one, row in zip(devices, rows, strict=True):
        payload = one["lastPayload"]
        payloads = [payload if len(payload) <= room else payload[: room - 1] + "…"] * (room >= _LEAST_PAYLOAD)
        table.add_row(*map(escape, (*row, *payloads)))
    console.print(table, soft_wrap=True)
    _show_errors(console, [one for one in devices if one.get("lastError")], newest)
    if commands := [one["provision"] for one in devices if "provision" in one]:
        console.print("\nNot provisioned yet; choose a service and a type:", style="bold")
        for command in commands:
            console.print(command, markup=False, highlight=False, soft_wrap=True)


def _numbers(device: Mapping[str, Any], newest: str) -> tuple[str, ...]:
    dropped = f" ({device['dropped']} dropped)" if device["dropped"] else ""
    every = f"{device['intervalSeconds']:g} s" if device["intervalSeconds"] else ""
    heard = moment(device["lastHeard"], newest)
    return (
        device["device"],
        device["apikey"],
        str(device["messages"]),
        every,
        heard,
        f"{device['errors'] or ''}{dropped}",
    )


def _show_errors(console: Console, devices: list[dict[str, Any]], newest: str) -> None:
    if not devices:
        return
    console.print("\nLast errors:", style="bold")
    for one in devices:
        error = one["lastError"]
        said = f"{one['device']} at {moment(error['at'], newest)}: {error['reason']}: {error['detail']}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)


def moment(at: str, newest: str) -> str:
    """A time (ISO 8601, UTC) without its date when that is the date of the newest one."""
    return at[11:19] if at[:10] == newest[:10] else f"{at[:10]} {at[11:19]}"


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
    """Rejected messages, newest first, three lines each; those with an id can be replayed."""
    if not rejected:
        console.print("No such message was refused.")
    for one in rejected:
        told = f"{one['at']} [bold red]{escape(one['reason'])}[/bold red] {escape(one['topic'])}"
        console.print(told + (f" [dim]id {one['id']}[/dim]" if one["id"] else ""), highlight=False, soft_wrap=True)
        console.print("  " + one["detail"], markup=False, highlight=False, soft_wrap=True)
        console.print("  " + one["payload"], markup=False, highlight=False, no_wrap=True, overflow="ellipsis")
