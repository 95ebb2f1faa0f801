"""The roles that `medina up` runs: how each is started, asked for its health, and which settings it gets."""

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from broker.embedded import mongod_command, mqtt_command
from broker.health import why_not_ready
from broker.storage.mongo_replica import SET_NAME, why_not_primary
from broker.supervisor.folder import FOLDER_VARIABLE, DataFolder
from broker.supervisor.probes import why_not_listening
from broker.supervisor.settings import UpSettings

PILOT: Final = "campus"
DEMO_SPEED: Final = "60"  # a day in a quarter of an hour: slow enough to follow, fast enough to see people move

Probe = Callable[[], str | None]
Ports = tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Role:
    """One child process: `probe` says why it is not ready (None: it is), `port` is what it listens on."""

    name: str
    title: str
    command: list[str]
    probe: Probe | None = None
    port: int = 0
    port_variable: str = ""
    further_ports: Ports = ()
    """(port, variable) of what else it listens on."""
    stop_within_s: float = 6.0


def servers(settings: UpSettings, folder: DataFolder) -> list[Role]:
    """MongoDB and the MQTT broker, without those that the settings name; raises ProgramMissing."""
    roles = []
    if not settings.mongodb_uri:
        port = settings.mongo_port
        command = mongod_command(folder.path / "mongod", port, settings.mongo_cache_gb)
        probe = partial(why_not_primary, port)
        roles.append(Role("mongod", "MongoDB", command, probe, port, "MEDINA_MONGO_PORT", stop_within_s=20.0))
    if not settings.mqtt_url:
        port = settings.mqtt_port
        command = mqtt_command(folder.path / "mqtt", port)
        probe = partial(why_not_listening, "127.0.0.1", port)
        roles.append(Role("mqtt", "MQTT broker", command, probe, port, "MEDINA_MQTT_PORT"))
    return roles


def applications(settings: UpSettings) -> list[Role]:
    """Medina's own roles."""

    def role(name: str, title: str, port: int, variable: str, *arguments: str, further: Ports = ()) -> Role:
        probe = partial(why_not_ready, f"http://{settings.local_host}:{port}/ready")
        return Role(name, title, _medina(name, *arguments), probe, port, variable, further)

    devices = ((settings.south_port, "MEDINA_SOUTH_PORT"),)

    return [
        role("broker", "context API", settings.port, "MEDINA_PORT"),
        role("notifier", "notifier", settings.notifier_port, "MEDINA_NOTIFIER_PORT"),
        role("agent", "IoT agent", settings.agent_port, "MEDINA_AGENT_PORT", further=devices),
        role("pilot", "pilot page", settings.pilot_port, "MEDINA_PILOT_PORT", PILOT),
    ]


def simulator() -> Role:
    """The simulated campus, endless."""
    return Role("simulate", "simulator", _medina("simulate", PILOT, "--loop", "--speed", DEMO_SPEED))


def _medina(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "broker.cli", *arguments]


def environment(settings: UpSettings, folder: DataFolder) -> dict[str, str]:
    """The environment of every child: what the operator set wins over what belongs to the pilot."""
    pilot = _pilot_folder()
    chosen = {
        "MEDINA_CONTEXTS": str(pilot / "contexts"),
        "MEDINA_DEVICES": str(pilot / "devices.toml"),
        "MEDINA_BROKER_URL": f"http://{settings.local_host}:{settings.port}",
        "MEDINA_PILOT_URL": f"http://{settings.local_host}:{settings.pilot_port}",
        # On a laptop, receivers of notifications are on the laptop.
        "MEDINA_NOTIFY_ADDRESSES": "any",
    }
    if not os.environ.get("MEDINA_PSEUDONYM_KEY"):
        chosen["MEDINA_PSEUDONYM_KEY_FILE"] = str(folder.pseudonym_key)
    fixed = {
        "MONGODB_URI": settings.mongodb_uri or f"mongodb://127.0.0.1:{settings.mongo_port}/?replicaSet={SET_NAME}",
        "MQTT_URL": settings.mqtt_url or f"mqtt://127.0.0.1:{settings.mqtt_port}",
        "PYTHONUNBUFFERED": "1",
        FOLDER_VARIABLE: str(folder.path),
    }
    return {**chosen, **os.environ, **fixed}


def _pilot_folder() -> Path:
    """Where the pilot's files lie; found without importing them."""
    package = importlib.util.find_spec("pilots")
    location = next(iter(package.submodule_search_locations or ()), "") if package else ""
    return Path(location) / PILOT
