"""The context API and the notifier as processes: they say why they cannot start, and stop cleanly."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.health import why_not_ready
from tests.waiting import until_sync

ROLES = {"broker": "MEDINA_PORT", "notifier": "MEDINA_NOTIFIER_PORT"}


def start(role: str, port: int, mongodb_uri: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "broker.cli", role],
        env={**os.environ, ROLES[role]: str(port), "MONGODB_URI": mongodb_uri, "MEDINA_DATABASE": "serve", **settings},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("number", "level"), [(signal.SIGTERM, "debug"), (signal.SIGINT, "Warning")])
def test_a_signal_stops_it_cleanly_and_the_log_keeps_to_its_level(
    role: str, number: signal.Signals, level: str, mongo: str, free_port: Callable[[], int]
) -> None:
    port = free_port()
    process = start(role, port, mongo, MEDINA_LOG_LEVEL=level)
    until_sync(lambda: why_not_ready(f"http://127.0.0.1:{port}/ready") is None, within_s=30)
    began = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert time.monotonic() - began < 5
    assert "Traceback" not in output
    assert ('"level": "info"' in output) == (level == "debug"), output
    assert ('"path": "/ready"' in output) == (level == "debug" and role == "broker"), output


@pytest.mark.parametrize("role", ROLES)
def test_a_taken_port_is_said(role: str, mongo: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        process = start(role, other.getsockname()[1], mongo)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 2, output
    assert ROLES[role] in output
    assert "Traceback" not in output
