"""What `medina up` draws on a terminal."""

import io
from dataclasses import dataclass

from rich.console import Console

from broker.supervisor.console import Screen


@dataclass
class Role:
    """One line of the table."""

    title: str
    reason: str | None = None
    restarts: int = 0


def test_a_terminal_is_written_to_only_when_something_has_changed() -> None:
    written = io.StringIO()
    roles = [Role("MongoDB"), Role("context API", "is starting")]
    with Screen(Console(file=written, force_terminal=True, width=80)) as screen:
        screen.show(roles)
        drawn = written.tell()
        screen.show(roles)
        assert written.tell() == drawn
        roles[1].reason = None
        screen.show(roles)
        assert written.tell() > drawn
        roles[1].restarts = 1
        screen.show(roles)
    assert "restarted 1 x" in written.getvalue()


def test_elsewhere_each_change_is_a_line() -> None:
    written = io.StringIO()
    roles = [Role("MongoDB"), Role("context API", "is starting")]
    with Screen(Console(file=written, force_terminal=False, width=80)) as screen:
        screen.show(roles)
        roles[1].reason = None
        screen.show(roles)
        screen.show(roles)
    assert written.getvalue().splitlines() == ["MongoDB is ready", "context API is starting", "context API is ready"]
