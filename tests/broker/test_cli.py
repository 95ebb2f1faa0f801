"""The command line: lists every command, loads only the one invoked, explains itself."""

import subprocess
import sys
from pathlib import Path

from broker.health import why_not_ready
from tests.conftest import unused_port


def medina(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "broker.cli", *arguments],
        env={"COLUMNS": "100", "TERM": "dumb", **settings},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_version() -> None:
    done = medina("--version")
    assert done.stdout.startswith("medina 0.")
    assert done.returncode == 0


def test_help_lists_the_commands_of_every_package() -> None:
    done = medina("--help")
    assert done.returncode == 0, done.stderr
    listed = {line.strip("│ ").partition(" ")[0] for line in done.stdout.splitlines()}
    assert {"up", "broker", "notifier", "agent", "pilot", "simulate", "health", "initiate", "prepare"} <= listed


def test_a_command_loads_nothing_of_another_package() -> None:
    code = (
        "import sys; from broker import cli; cli._add_commands_of_other_packages(['agent'])\n"
        "assert 'agents.cli' in sys.modules and 'pilots' not in sys.modules, sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_unknown_command() -> None:
    done = medina("fly")
    assert done.returncode == 2
    assert "No such command 'fly'" in done.stderr


def test_unusable_setting_is_named() -> None:
    done = medina("broker", MEDINA_PORT="many")
    assert done.returncode == 2
    assert "MEDINA_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    done = medina("agent", MQTT_URL_FILE=str(tmp_path / "none"))
    assert done.returncode == 2
    assert "MQTT_URL_FILE" in done.stderr


def test_health_of_a_role_that_is_not_there() -> None:
    url = f"http://127.0.0.1:{unused_port()}/ready"
    assert why_not_ready(url) == "does not listen"
    done = medina("health", url)
    assert (done.returncode, done.stderr.strip()) == (1, f"{url}: does not listen")


def test_address_to_initiate_is_checked() -> None:
    done = medina("initiate", "mongo")
    assert done.returncode == 2
    assert "host:port" in done.stderr
