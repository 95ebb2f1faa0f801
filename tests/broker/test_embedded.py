"""The embedded servers: found, started as a replica set of one, and with their files kept."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from broker.embedded import answers, find_mosquitto, running_mongod, running_mqtt
from broker.leash import leashed
from broker.supervisor.errors import ServerUnreachable
from tests.waiting import until_sync


def test_mongod_moves_to_another_port_with_its_data(tmp_path: Path, free_port: Callable[[], int]) -> None:
    for port in (free_port(), free_port()):
        with running_mongod(tmp_path, port) as uri:
            assert f":{port}/" in uri
            assert answers(port)
        assert not answers(port)


def test_a_mongod_that_ends_at_once_says_why(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ServerUnreachable, match=r"(?s)has ended before it was ready.*in use"),
        running_mongod(tmp_path, port),
    ):
        pass


@pytest.mark.skipif(not find_mosquitto(), reason="amqtt keeps its sessions in memory only")
def test_mqtt_broker_keeps_a_message_for_a_session_across_a_restart(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with running_mqtt(tmp_path, port):
        _session(port).disconnect()
        publisher = _connected(port, "publisher", clean=True)
        publisher.publish("t/1", b"kept", qos=1).wait_for_publish(5)
        publisher.disconnect()
    received: list[bytes] = []
    with running_mqtt(tmp_path, port):
        client = _session(port, received)
        until_sync(lambda: received)
        client.disconnect()
    assert received == [b"kept"]


def test_amqtt_keeps_a_message_for_a_session_while_it_runs(free_port: Callable[[], int]) -> None:
    port = free_port()
    broker = subprocess.Popen(leashed([sys.executable, "-m", "broker.embedded_amqtt", str(port)]))
    try:
        until_sync(lambda: answers(port), within_s=20)
        _session(port).disconnect()
        publisher = _connected(port, "publisher", clean=True)
        publisher.publish("t/1", b"kept", qos=1).wait_for_publish(5)
        publisher.disconnect()
        received: list[bytes] = []
        client = _session(port, received)
        until_sync(lambda: received)
        client.disconnect()
    finally:
        broker.terminate()
    assert received == [b"kept"]
    assert broker.wait(10) == 0


def _connected(port: int, client_id: str, clean: bool, received: list[bytes] | None = None) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean)
    client.on_message = lambda _client, _userdata, message: (received if received is not None else []).append(
        bytes(message.payload)
    )
    client.connect("127.0.0.1", port)
    client.loop_start()
    until_sync(client.is_connected)
    return client


def _session(port: int, received: list[bytes] | None = None) -> paho.Client:
    client = _connected(port, "session", clean=False, received=received)
    subscribed: list[int] = []
    client.on_subscribe = lambda _client, _userdata, mid, _codes, _properties: subscribed.append(mid)
    client.subscribe("t/#", qos=1)
    until_sync(lambda: subscribed)
    return client


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel request is Linux's")
def test_leashed_program_ends_with_its_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = [
        sys.executable,
        "-c",
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)",
    ]
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, time; from broker.leash import leashed; "
            f"subprocess.Popen(leashed({child!r})); time.sleep(60)",
        ]
    )
    until_sync(lambda: pid_file.exists() and pid_file.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until_sync(lambda: not _alive(int(pid_file.read_text())))


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_leash_keeps_the_arguments() -> None:
    answer = subprocess.run(leashed(["echo", "a b", "c"]), capture_output=True, check=True, text=True)
    assert answer.stdout == "a b c\n"
