"""The simulated day: repeatable, complete in spite of its dirt, and understood by a real MQTT broker."""

import math
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from broker.embedded import find_mosquitto, running_mqtt
from pilots.campus.simulator.day import Plan, play
from pilots.campus.simulator.devices import DOORS
from pilots.campus.simulator.message import Message
from pilots.campus.simulator.outlet import MqttOutlet
from pilots.errors import BadSettings, MqttUnavailable
from tests.waiting import until_sync

START: Final = datetime(2026, 3, 2, 6, tzinfo=UTC)


def sent(plan: Plan, days: int = 1) -> list[Message]:
    return [message for _, message in play(plan, days) if message.dirt != "withheld"]


def badge_events(messages: list[Message]) -> set[tuple[Any, ...]]:
    """What the readers of known devices said about badges, each once; broken messages say nothing."""
    events: set[tuple[Any, ...]] = set()
    for message in messages:
        if message.kind in ("door controller", "visitor reader") and message.dirt != "truncated":
            body = orjson.loads(message.payload)
            if message.kind == "door controller":
                events.add(tuple(body["message"]["event"].values()))
            elif body["type"] == "access":
                events.add(tuple(body.values()))
    return events


@pytest.mark.parametrize("clean", [True, False])
def test_the_same_seed_and_start_give_the_same_bytes_in_the_same_order(clean: bool) -> None:
    plan = Plan(seed=3, people=60, start=START, speed=60, clean=clean)
    assert sent(plan, days=2) == sent(plan, days=2)
    assert sent(plan) != sent(Plan(seed=4, people=60, start=START, speed=60, clean=clean))


def test_the_command_prints_the_same_bytes_in_two_processes() -> None:
    command = [sys.executable, "-m", "broker.cli", "simulate", "campus", "--dry-run", "--people", "40"]
    command += ["--seed", "7", "--start", "2026-03-02T06:00:00Z", "--speed", "max", "--duration", "120"]
    first, second = (subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2))
    assert first == second
    assert first.count(b"\n") > 100


def test_everybody_who_enters_leaves_again() -> None:
    moves = Counter[tuple[str, str, str]]()
    for message in sent(Plan(5, 120, START, 60, clean=True)):
        if message.kind == "door controller":
            event = orjson.loads(message.payload)["message"]["event"]
            if event["access-granted"]:
                moves[str(event["card-number"]), str(event["door-id"]), event["direction-text"]] += 1
    assert {door for _, door, _ in moves} == {str(number) for number in DOORS.values()}
    assert all(moves[card, door, "in"] == moves[card, door, "out"] for card, door, _ in list(moves))


def test_dirt_delays_and_repeats_badge_events_but_loses_none() -> None:
    clean, dirty = (sent(Plan(5, 250, START, 60, clean=clean)) for clean in (True, False))
    assert badge_events(clean) == badge_events(dirty)


def test_every_kind_of_dirt_occurs_and_stays_rare() -> None:
    kinds = Counter(message.dirt for _, message in play(Plan(5, 250, START, 60)))
    clean = kinds.pop(None)
    assert set(kinds) == {
        *("duplicate", "late", "out of order", "wrong clock", "unknown device", "truncated", "withheld"),
    }
    assert sum(kinds.values()) < 0.15 * clean


def test_truncated_messages_are_not_json() -> None:
    broken = [message.payload for message in sent(Plan(5, 250, START, 60)) if message.dirt == "truncated"]
    assert broken
    for payload in broken:
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(payload)


@pytest.mark.parametrize("speed", [1.0, 60.0, math.inf])
def test_device_clocks_fit_the_speed(speed: float) -> None:
    plan = Plan(5, 30, START, speed, clean=True)
    end = START + timedelta(seconds=plan.day_s / plan.clock_speed)
    stamps = [
        datetime.fromisoformat(orjson.loads(message.payload)["TimeInstant"])
        for message in sent(plan)
        if b"TimeInstant" in message.payload
    ]
    assert START <= min(stamps) < max(stamps) <= end


def test_event_numbers_go_on_from_day_to_day() -> None:
    numbers = [
        orjson.loads(message.payload)["message"]["event"]["event-id"]
        for message in sent(Plan(5, 30, START, 60, clean=True), days=2)
        if message.kind == "door controller"
    ]
    assert numbers == sorted(set(numbers))


def test_payloads_carry_what_the_agent_must_drop() -> None:
    everything = b"".join(message.payload for message in sent(Plan(5, 60, START, 60, clean=True)))
    assert b'"username":"' in everything
    assert b'"card-number":' in everything
    assert b'"Name":"Image"' in everything


class Listener:
    """Everything that an MQTT broker delivers, in order."""

    def __init__(self, url: str) -> None:
        self.received: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _userdata, message: self.received.append(
            (message.topic, bytes(message.payload))
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.subscribe("#", qos=1)
        self._client.loop_start()
        assert self._subscribed.wait(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def simulate(*options: str, url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "broker.cli", "simulate", "campus", "--mqtt-url", url, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_a_real_broker_gets_every_message_in_order(tmp_path: Path, free_port: Callable[[], int]) -> None:
    options = ("--seed", "2", "--people", "30", "--speed", "max", "--start", "2026-03-02T06:00:00Z")
    with running_mqtt(tmp_path, free_port()) as url:
        listener = Listener(url)
        try:
            ended = simulate(*options, url=url)
            expected = [(one.topic, one.payload) for one in sent(Plan(2, 30, START, math.inf))]
            until_sync(lambda: len(listener.received) >= len(expected), within_s=10)
        finally:
            listener.close()
    assert ended.returncode == 0, ended.stderr
    assert listener.received == expected
    assert f"Sent {len(expected):,} messages" in ended.stdout
    assert "all acknowledged" in ended.stdout
    assert "duplicate" in ended.stdout
    assert "thermal camera" in ended.stdout


def test_a_signal_ends_an_endless_day_with_a_summary(mqtt_url: str) -> None:
    listener = Listener(mqtt_url)
    command = [
        sys.executable,
        "-m",
        "broker.cli",
        "simulate",
        "campus",
        "--loop",
        "--speed=60",
        f"--mqtt-url={mqtt_url}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        until_sync(lambda: len(listener.received) >= 10, within_s=15)
        process.terminate()
        said, _ = process.communicate(timeout=10)
    finally:
        process.kill()
        listener.close()
    assert process.returncode == 0
    assert "all acknowledged" in said


def test_no_broker_is_one_clear_sentence(free_port: Callable[[], int]) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    ended = simulate(url=url)
    assert ended.returncode == 2
    assert url in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_refused_password_is_one_clear_sentence(tmp_path: Path, free_port: Callable[[], int]) -> None:
    mosquitto = find_mosquitto()
    if mosquitto is None:
        pytest.skip("needs mosquitto: the broker of the package `embedded` asks for no password")
    port = free_port()
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\n")
    server = subprocess.Popen([mosquitto, "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        ended = until_sync(lambda: refused(f"mqtt://gate:wrong@127.0.0.1:{port}"), within_s=10)
    finally:
        server.terminate()
        server.wait()
    assert "refuses the connection" in ended
    assert "wrong" not in ended, "the password is not shown"


def refused(url: str) -> str:
    """What the simulator says, once there is a server."""
    ended = simulate("--duration", "1", url=url)
    assert ended.returncode == 2
    return ended.stderr if "There is no MQTT broker" not in ended.stderr else ""


@pytest.mark.parametrize("url", ["", "http://127.0.0.1", "mqtt://", "mqtt://127.0.0.1:99999"])
def test_an_unusable_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(BadSettings, match="MQTT_URL"):
        MqttOutlet(url)


def test_a_server_that_is_no_mqtt_broker_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close()).start()
        address = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(MqttUnavailable, match=f"{address} .* does not answer as an MQTT broker"):
            MqttOutlet(address).__enter__()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--speed", "fast"], "--speed"),
        (["--speed", "0"], "--speed"),
        (["--start", "2026-03-02T06:00:00"], "--start"),
        (["--loop", "--speed", "max"], "--loop"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: list[str], complaint: str) -> None:
    ended = simulate(*options, url="mqtt://127.0.0.1:1")
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr
