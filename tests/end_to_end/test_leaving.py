"""A role that is asked to stop stops, also when MongoDB has gone before it."""

import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from broker.embedded import running_mongod
from tests.end_to_end.process import Process
from tests.waiting import until_sync


def test_an_agent_stops_without_mongodb(tmp_path: Path, mqtt_url: str, free_port: Callable[[], int]) -> None:
    port = free_port()

    def is_ready() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return True
        except (URLError, OSError):
            return False

    with running_mongod(tmp_path / "mongod", free_port()) as uri:
        environment = {
            "MONGODB_URI": uri,
            "MQTT_URL": mqtt_url,
            "MEDINA_DEVICES": "",
            "MEDINA_AGENT_PORT": str(port),
            "MEDINA_SOUTH_PORT": "0",
            "MEDINA_MQTT_CLIENT_ID": "leaving",
        }
        agent = Process("agent", [sys.executable, "-m", "broker.cli", "agent"], environment, tmp_path, is_ready)
        agent.start()
        until_sync(lambda: "connected to the MQTT broker" in agent.tail())
    try:
        assert agent.stop() == 0
    finally:
        agent.end()
