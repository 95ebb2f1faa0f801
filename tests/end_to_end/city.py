"""A whole Medina on free ports: MongoDB, MQTT broker, context API, notifier, agent and a receiver, a process each.

Every part can be killed and started again by itself; none shares anything with another but the network.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.embedded import START_WITHIN_S, answers, mongod_command, mqtt_command
from broker.storage.mongo_replica import SET_NAME, become_primary
from broker.supervisor.errors import ServerUnreachable
from tests.conftest import unused_port
from tests.end_to_end.process import Process
from tests.end_to_end.record import Record
from tests.waiting import until_sync

REQUEST_WITHIN_S = 10
PORT_SETTINGS = {"broker": "MEDINA_PORT", "notifier": "MEDINA_NOTIFIER_PORT", "agent": "MEDINA_AGENT_PORT"}
CONTEXTS = Path(__file__).parent / "contexts"
CONTEXT = "https://medina.example/city/context.jsonld"
SERVICE = "city"  # the fiware-service of what is provisioned; its entities are in the default tenant
HEADERS = {
    "Content-Type": "application/json",
    "Link": f'<{CONTEXT}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"',
}
# Devices need no provisioning: the group makes an entity urn:ngsi-ld:Device:<device id> of each.
DEVICES = f"""
context = "{CONTEXT}"

[[group]]
apikey = "bench"
entity_type = "Device"
autoprovision = true
"""


@dataclass(frozen=True)
class Reply:
    """Answer of an HTTP server; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def request(port: int, method: str, path: str, body: Any = None) -> Reply:
    """One HTTP request to 127.0.0.1 on a connection of its own; `body` is sent as JSON. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_WITHIN_S)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, HEADERS)
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    """Whether the role on `port` says that it is ready."""
    try:
        return request(port, "GET", "/ready").status == 200
    except (OSError, http.client.HTTPException):
        return False


class City:
    """The parts by name in `parts`, in the order in which they start."""

    def __init__(self, folder: Path, numbers: tuple[str, ...] = ("n",)) -> None:
        """Logs, databases and the receiver's record go to `folder`."""
        self.folder = folder
        self.record = Record(folder / "received.tsv")
        (folder / "devices.toml").write_text(DEVICES)
        names = ("mongod", "mqtt", "broker", "notifier", "agent", "receiver")
        self.ports = {name: unused_port() for name in names}
        self.mongodb_uri = f"mongodb://127.0.0.1:{self.ports['mongod']}/?replicaSet={SET_NAME}"
        self.mqtt_url = f"mqtt://127.0.0.1:{self.ports['mqtt']}"
        self._settings = {
            "MONGODB_URI": self.mongodb_uri,
            "MQTT_URL": self.mqtt_url,
            "MEDINA_HOST": "127.0.0.1",
            "MEDINA_SOUTH_PORT": "0",
            "MEDINA_SERVICE": SERVICE,
            "MEDINA_NOTIFY_ADDRESSES": "any",
            "MEDINA_BROKER_URL": f"http://127.0.0.1:{self.ports['broker']}",
            "MEDINA_CONTEXTS": str(CONTEXTS),
            "MEDINA_DEVICES": str(folder / "devices.toml"),
            "MEDINA_PSEUDONYM_KEY": "0123456789abcdef0123456789abcdef",
        }
        self._numbers = numbers
        self.parts = {
            "mongod": self._server("mongod", mongod_command(folder / "mongod", self.ports["mongod"])),
            "mqtt": self._server("mqtt", mqtt_command(folder / "mqtt", self.ports["mqtt"])),
            "broker": self.role("broker"),
            "notifier": self.role("notifier"),
            "agent": self.role("agent"),
            "receiver": self.receiver("receiver", self.record),
        }

    def _server(self, name: str, command: list[str]) -> Process:
        return Process(name, command, {}, self.folder, lambda: answers(self.ports[name]))

    def receiver(self, name: str, record: Record) -> Process:
        """A receiver's process, not started, with a record of its own."""
        port = str(self.ports.setdefault(name, unused_port()))
        command = ["-m", "tests.end_to_end.receiver", "--port", port, "--log", str(record.path)]
        return self._server(name, [sys.executable, *command, "--number", *self._numbers])

    def role(self, command: str, name: str | None = None, settings: Mapping[str, str] | None = None) -> Process:
        """A role's process, not started; `name` and `settings` tell a second one of the same command apart."""
        name = name or command
        self.ports.setdefault(name, unused_port())
        return Process(
            name,
            [sys.executable, "-m", "broker.cli", command],
            {**self._settings, PORT_SETTINGS[command]: str(self.ports[name]), **(settings or {})},
            self.folder,
            lambda: is_ready(self.ports[name]),
        )

    def start(self, *names: str) -> None:
        """Start these parts and wait until they are ready."""
        chosen = [self.parts[name] for name in names]
        for part in chosen:
            part.start(wait=part.name in ("mongod", "mqtt"))
            if part.name == "mongod":
                self._await_primary(part)
        for part in chosen:
            part.wait_ready()

    def _await_primary(self, mongod: Process) -> None:
        try:
            become_primary(self.ports["mongod"], START_WITHIN_S, is_running=lambda: mongod.alive)
        except ServerUnreachable as exc:
            raise AssertionError(f"{exc}\n{mongod.tail()}") from exc

    def restore(self) -> None:
        """Start what a test killed and did not start again."""
        self.start(*(name for name, part in self.parts.items() if not part.alive))

    def stop(self) -> None:
        """End every part, the last started first."""
        for part in reversed(self.parts.values()):
            part.end()

    def api(self, method: str, path: str, body: Any = None) -> Reply:
        """A request to the context API; `path` is below /ngsi-ld/v1."""
        return request(self.ports["broker"], method, f"/ngsi-ld/v1{path}", body)

    def metrics(self, role: str) -> dict[str, float]:
        """Samples of a role's /metrics by name with labels, as Prometheus writes them."""
        text = request(self.ports[role], "GET", "/metrics").body.decode()
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def unsubscribe_all(self) -> None:
        """Remove every subscription."""
        for subscription in self.api("GET", "/subscriptions?limit=1000").json():
            self.api("DELETE", f"/subscriptions/{subscription['id']}")

    def subscribe(self, entity_type: str) -> str:
        """Send every change of `entity_type` to the receiver; the subscription's id."""
        answer = self.api(
            "POST",
            "/subscriptions",
            {
                "type": "Subscription",
                "entities": [{"type": entity_type}],
                "notification": {"endpoint": {"uri": f"http://127.0.0.1:{self.ports['receiver']}/"}},
            },
        )
        assert answer.status == 201, answer
        return answer.headers["location"].rpartition("/")[2]

    def provision(self, group: Mapping[str, Any]) -> None:
        """Make a group known to the agent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["agent"], timeout=REQUEST_WITHIN_S)
        headers = {"Content-Type": "application/json", "fiware-service": SERVICE, "fiware-servicepath": "/"}
        try:
            connection.request("POST", "/iot/groups", json.dumps({"groups": [group]}), headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
        finally:
            connection.close()

    def devices(self) -> dict[str, Any]:
        """Key-values of the first 1,000 devices by id."""
        answer = self.api("GET", "/entities?type=Device&options=keyValues&limit=1000")
        return {entity["id"]: entity for entity in answer.json()}

    def publisher(self, name: str = "publisher", flags: Sequence[str] = (), **load: object) -> Process:
        """A started publisher of `load` (see tests.end_to_end.publisher)."""
        options = [*(f"--{flag}" for flag in flags), *(f"--{option}={value}" for option, value in load.items())]
        command = [sys.executable, "-m", "tests.end_to_end.publisher", "--url", self.mqtt_url, *options]
        process = Process(name, command, {}, self.folder, lambda: True)
        process.start(wait=False)
        return process


@contextmanager
def running(city: City, name: str, settings: dict[str, str]) -> Iterator[Process]:
    """A further context API of the city, with settings of its own, while the block runs."""
    process = city.role("broker", name, settings)
    process.start()
    try:
        yield process
    finally:
        process.end()


def published(publisher: Process, within_s: float) -> dict[str, float]:
    """The report of a publisher that ends within `within_s` with everything acknowledged."""
    until_sync(lambda: not publisher.alive, within_s=within_s)
    report: dict[str, float] = json.loads(publisher.tail(1))
    return report
