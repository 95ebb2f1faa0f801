"""What `medina up` shows: progress while it starts, then one screen with addresses and the health of each role.

On a terminal the table of roles is redrawn in place; elsewhere (CI, a pipe, TERM=dumb) every change is one plain line.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text


class Health(Protocol):
    """One line of the table: `reason` is why the role is not ready (None: it is)."""

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str | None: ...  # noqa: D102
    @property
    def restarts(self) -> int: ...  # noqa: D102


class Screen:
    """The operator's view; use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._drawn = self._console.is_terminal and not self._console.is_dumb_terminal
        # Drawn only when something has changed: a table that is written anew all the time cannot be selected from.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._shown: dict[str, tuple[str | None, int]] = {}

    def __enter__(self) -> Self:
        if self._drawn:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._live.stop()

    def say(self, text: str = "") -> None:
        """One line, above the table; never broken, so that commands in it can be copied."""
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, roles: Sequence[Health]) -> None:
        """The health of the roles: the whole table, or what changed since the last call."""
        # One that was restarted says so anew, also when it was back before anybody looked.
        state = {role.title: (role.reason, role.restarts) for role in roles}
        changed = [role for role in roles if self._shown.get(role.title) != state[role.title]]
        self._shown = state
        if self._drawn and changed:
            self._live.update(_table(roles), refresh=True)
        elif not self._drawn:
            for role in changed:
                self.say(f"{role.title} {role.reason or 'is ready'}")


def _table(roles: Sequence[Health]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for role in roles:
        mark = Text("●", "green" if role.reason is None else "yellow")
        restarts = f"restarted {role.restarts} x" if role.restarts else ""
        table.add_row(mark, role.title, Text(role.reason or "ready", "" if role.reason is None else "yellow"), restarts)
    return table
