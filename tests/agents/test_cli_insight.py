"""What `medina agent devices` and `rejected` print on terminals of several widths."""

import io
from typing import Any

import pytest
from rich.console import Console

from agents.cli_insight import show_devices, show_rejected

DETAIL = "25 bytes are not JSON: unexpected end of data at character 25"


def printed(width: int) -> Console:
    """A terminal that remembers."""
    return Console(file=io.StringIO(), width=width, force_terminal=False)


def text(console: Console) -> str:
    """What it was told."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def device(**members: Any) -> dict[str, Any]:
    """What an agent tells of one."""
    error = {"reason": "not-json", "detail": DETAIL, "at": "2026-03-01T08:29:00.000Z"}
    known = {"device": "405419896-turnstile-2", "apikey": "campus", "messages": 1234, "intervalSeconds": 0.8}
    heard = {"lastHeard": "2026-03-01T08:30:00.250Z", "lastPayload": '{"t": 21.5, "h": 40}' * 9, "errors": 2}
    return {**known, **heard, "dropped": 0, "lastError": error, **members}


@pytest.mark.parametrize("width", [80, 100, 140])
def test_nothing_that_names_a_device_is_cut(width: int) -> None:
    console = printed(width)
    show_devices(console, [device(), device(device="zs-attic", lastHeard="2026-02-28T23:00:00.000Z", lastError={})])
    lines = text(console).splitlines()
    assert all(word in lines[1] for word in ("405419896-turnstile-2", "campus", "1234", "0.8 s", " 08:30:00"))
    assert "2026-02-28 23:00:00" in lines[2]
    assert max(map(len, lines[:3])) <= width or "last payload" not in lines[0]
    assert ('{"t": 21.5' in lines[1]) == (width > 80)
    assert lines[-1] == f"405419896-turnstile-2 at 08:29:00: not-json: {DETAIL}"


def test_nobody_and_nothing_are_told_in_words() -> None:
    console = printed(80)
    show_devices(console, [])
    show_rejected(console, [])
    assert text(console).splitlines() == [
        "No such device has spoken to this agent since it started.",
        "No such message was refused.",
    ]


def test_a_rejected_message_is_told_with_reason_and_id() -> None:
    console = printed(60)
    told = {"at": "2026-03-01T08:30:00.250Z", "reason": "not-json", "topic": "/json/campus/[zs]/attrs"}
    show_rejected(console, [{**told, "id": "6b03", "detail": DETAIL, "payload": "{" * 99}])
    first, second, third = text(console).splitlines()
    assert first == "2026-03-01T08:30:00.250Z not-json /json/campus/[zs]/attrs id 6b03"
    assert second == f"  {DETAIL}"
    assert third == "  " + "{" * 57 + "…"
