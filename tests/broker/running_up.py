"""`medina up` as a child process of a test, on free ports and in a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.waiting import until_sync

PORTS = ("", "NOTIFIER_", "AGENT_", "SOUTH_", "PILOT_", "MONGO_", "MQTT_")


class Up:
    """One run of `medina up`; `settings` are its environment variables."""

    def __init__(self, folder: Path, free_port: Callable[[], int], **settings: str) -> None:
        self.data = folder / "medina-data"
        self.ports = {f"MEDINA_{name}PORT": str(free_port()) for name in PORTS}
        self.api = f"http://127.0.0.1:{self.ports['MEDINA_PORT']}"
        self.pilot = f"http://127.0.0.1:{self.ports['MEDINA_PILOT_PORT']}"
        self._output = folder / f"output-{self.ports['MEDINA_PORT']}"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MEDINA_", "MONGODB_", "MQTT_", "DEMO"))
        }
        environment = {**inherited, **self.ports, "MEDINA_DATA": str(self.data), "TERM": "dumb", **settings}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "broker.cli", "up"],
                env=environment,
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._output.read_text(encoding="utf-8")

    def wait_until_up(self, within_s: float = 60) -> None:
        """Return when it says that it is up; AssertionError with its output when it ends before."""

        def up() -> bool:
            assert self.process.poll() is None, self.output
            return "Medina is up" in self.output

        until_sync(up, within_s)

    def members(self, containing: str = "") -> list[int]:
        """Process ids of its children and grandchildren whose command line contains a text."""
        mark = f"MEDINA_UP_FOLDER={self.data}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if words and containing in words and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = 40) -> int:
        """Send the signal and give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def refused(self, within_s: float = 30) -> str:
        """What it says on refusing to start; asserts exit code 2 and no traceback."""
        code = self.process.wait(within_s)
        assert code == 2, self.output
        assert "Traceback" not in self.output
        assert self.members() == []
        return " ".join(self.output.split())

    def kill(self) -> None:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
