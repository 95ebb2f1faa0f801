"""`medina up` from start to stop: everything answers, what dies is restarted, nothing is left behind or lost."""

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.broker.running_up import Up
from tests.waiting import until_sync

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="the embedded MongoDB is for Linux"),
]

ENTITY = {"id": "urn:ngsi-ld:Zone:kept", "type": "Zone", "name": {"type": "Property", "value": "kept"}}

StartUp = Callable[..., Up]


@pytest.fixture
def start_up(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[StartUp]:
    started: list[Up] = []

    def start(**settings: str) -> Up:
        started.append(Up(tmp_path, free_port, **settings))
        return started[-1]

    yield start
    for up in started:
        up.kill()


def ask(url: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Content-Type": "application/json"})
    request.data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.read().decode()


def replaced(up: Up, role: str, victim: int) -> bool:
    return bool(set(up.members(role)) - {victim})


def test_everything_answers_and_what_dies_is_restarted_and_nothing_is_lost(start_up: StartUp) -> None:
    up = start_up()
    up.wait_until_up()
    assert ask(f"{up.api}/ready")[0] == 200
    assert "<html" in ask(up.pilot)[1].lower()
    assert ask(f"{up.api}/ngsi-ld/v1/entities", ENTITY)[0] == 201

    for role in ("broker.cli notifier", "broker.cli broker", "mosquitto"):
        (victim,) = up.members(role)
        os.kill(victim, signal.SIGKILL)
        until_sync(partial(replaced, up, role, victim), within_s=20)
    # What the members lack may be told beside it, as "was ended by SIGKILL, is being restarted".
    assert up.output.count("was ended by SIGKILL after") == 3
    assert "Last line of" in up.output
    until_sync(lambda: up.output.count("context API is ready") >= 2, within_s=20)

    assert up.stop() == 0, up.output
    assert up.members() == []
    assert "Traceback" not in up.output

    again = start_up(DEMO="0")
    again.wait_until_up()
    assert again.members("simulate") == []
    assert json.loads(ask(f"{again.api}/ngsi-ld/v1/entities/{ENTITY['id']}")[1])["name"]["value"] == "kept"


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_copes(start_up: StartUp) -> None:
    up = start_up()
    up.wait_until_up()
    assert up.members("mongod")
    up.stop(signal.SIGKILL)
    again = start_up(DEMO="0")
    again.wait_until_up()
    assert up.members() == again.members()
    assert len(again.members("mongod")) == 1
    assert again.stop(signal.SIGINT) == 0
    assert "Traceback" not in again.output


def test_ctrl_c_while_it_starts_stops_it(start_up: StartUp) -> None:
    up = start_up()
    until_sync(lambda: "MongoDB is starting" in up.output, within_s=20)
    assert up.stop(signal.SIGINT) == 0, up.output
    assert up.members() == []
    assert "Traceback" not in up.output


def test_servers_that_exist_are_used(start_up: StartUp, mongo: str, mqtt_url: str) -> None:
    up = start_up(MONGODB_URI=mongo, MQTT_URL=mqtt_url, MEDINA_DATABASE="existing", DEMO="0")
    up.wait_until_up()
    assert up.members("mongod") == []
    assert up.members("mosquitto") == []
    assert ask(f"{up.api}/ngsi-ld/v1/entities", ENTITY)[0] == 201
    assert up.stop() == 0
    log = [json.loads(line) for line in (up.data / "logs" / "broker.log").read_text().splitlines()]
    assert [line["event"] for line in log] == ["context API ready", "context API stopped"]
    assert log[0]["addresses"] == [up.api.removeprefix("http://")]


def test_secrets_are_readable_by_their_owner_only_and_stay(start_up: StartUp) -> None:
    up = start_up(DEMO="0")
    until_sync(lambda: "MongoDB is starting" in up.output, within_s=20)
    key = up.data / "secrets" / "pseudonym.key"
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_text()
    up.stop()
    again = start_up(DEMO="0")
    until_sync(lambda: "MongoDB is starting" in again.output, within_s=20)
    assert key.read_text() == before
