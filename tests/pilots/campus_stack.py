"""Medina with the campus pilot on free ports: context API, notifier, agent and page, a process each."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from pilots.campus.site import CONTEXT_URL
from tests.conftest import unused_port
from tests.end_to_end.city import PORT_SETTINGS, is_ready
from tests.end_to_end.process import Process

CAMPUS = Path(__file__).parents[2] / "pilots" / "campus"
HEADERS = {
    "Content-Type": "application/json",
    "Link": f'<{CONTEXT_URL}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"',
}
ROLES = {"broker": ["broker"], "notifier": ["notifier"], "agent": ["agent"], "pilot": ["pilot", "campus"]}


@dataclass(frozen=True)
class Answer:
    """Answer of an HTTP server."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.body)


class CampusStack:
    """The roles by name in `parts`; servers are shared with other tests, database and MQTT session are not."""

    def __init__(self, folder: Path, mongodb_uri: str, mqtt_url: str) -> None:
        self.mqtt_url = mqtt_url
        self.ports = {name: unused_port() for name in ROLES}
        self.page_url = f"http://127.0.0.1:{self.ports['pilot']}/"
        name = f"campus{uuid4().hex[:8]}"
        settings = {
            "MONGODB_URI": mongodb_uri,
            "MQTT_URL": mqtt_url,
            "MEDINA_DATABASE": name,
            "MEDINA_MQTT_CLIENT_ID": name,
            "MEDINA_SOUTH_PORT": "0",
            "MEDINA_BROKER_URL": f"http://127.0.0.1:{self.ports['broker']}",
            "MEDINA_PILOT_URL": self.page_url,
            "MEDINA_CONTEXTS": str(CAMPUS / "contexts"),
            "MEDINA_DEVICES": str(CAMPUS / "devices.toml"),
            "MEDINA_PSEUDONYM_KEY": "0123456789abcdef0123456789abcdef",
        }
        port_settings = {**PORT_SETTINGS, "pilot": "MEDINA_PILOT_PORT"}
        self.parts = {
            role: Process(
                role,
                [sys.executable, "-m", "broker.cli", *command],
                {**settings, port_settings[role]: str(self.ports[role])},
                folder,
                lambda port=self.ports[role]: is_ready(port),  # type: ignore[misc]  # mypy sees no type for defaults
            )
            for role, command in ROLES.items()
        }

    def start(self) -> None:
        """Start every role at once, the page too: it waits for the API by itself."""
        for part in self.parts.values():
            part.start(wait=False)
        for part in self.parts.values():
            part.wait_ready()

    def stop(self) -> None:
        """End every role."""
        for part in reversed(self.parts.values()):
            part.end()

    def api(self, method: str, path: str, body: object = None) -> Answer:
        """A request to the context API with the campus' @context; `path` is below /ngsi-ld/v1."""
        content = None if body is None else orjson.dumps(body)
        return self.send("broker", method, f"/ngsi-ld/v1{path}", content)

    def send(self, role: str, method: str, path: str, content: bytes | None = None) -> Answer:
        """One HTTP request to a role, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[role], timeout=10)
        try:
            connection.request(method, path, content, HEADERS)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Samples of the page's /metrics."""
        text = self.send("pilot", "GET", "/metrics").body.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(number) for name, _, number in lines}


@contextmanager
def running_stack(folder: Path, mongodb_uri: str, mqtt_url: str) -> Iterator[CampusStack]:
    """Every role ready; all of them ended afterwards."""
    stack = CampusStack(folder, mongodb_uri, mqtt_url)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
