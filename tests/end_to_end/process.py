"""A server or role as a child process: started, watched, killed and started again on the same port."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from broker.leash import leashed
from tests.waiting import INTERVAL_S

START_WITHIN_S = 60
STOP_WITHIN_S = 10
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU time used so far and the largest resident set since the last `reset_peak`."""

    cpu_s: float
    peak_mb: float


class Process:
    """One child process and the command that makes it again."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, ready: Callable[[], bool]
    ) -> None:
        """`folder` keeps the output as `<name>.log`; `ready` is polled after a start."""
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._ready = ready
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start, and wait until it is ready."""
        with self.log.open("ab") as output:
            command = leashed(self._command)
            self._child = subprocess.Popen(command, env=self._environment, stdout=output, stderr=subprocess.STDOUT)
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when the process answers; AssertionError with the end of its log when it does not."""
        deadline_s = monotonic() + START_WITHIN_S
        while self.alive and not self._ready():
            assert monotonic() < deadline_s, f"{self.name} is not ready after {START_WITHIN_S} s:\n{self.tail()}"
            sleep(INTERVAL_S)
        assert self.alive, f"{self.name} ended at once:\n{self.tail()}"

    @property
    def pid(self) -> int:
        """Process id of the running child."""
        assert self._child is not None
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._child is not None and self._child.poll() is None

    def kill(self) -> None:
        """SIGKILL: nothing can be put in order."""
        assert self._child is not None
        self._child.kill()
        self._child.wait()

    def pause(self) -> None:
        """SIGSTOP: it does nothing more, and everything that it has stays open."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT: it goes on where it was paused."""
        assert self._child is not None
        self._child.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._child is not None
        if self.alive:
            self._child.send_signal(signal.SIGTERM)
        return self._child.wait(STOP_WITHIN_S)

    def end(self) -> None:
        """Make sure that nothing is left, whatever state the child is in."""
        if self.alive:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()

    def tail(self, lines: int = 20) -> str:
        """End of the output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def usage(self) -> Usage:
        """From /proc (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{self.pid}/status").read_text()
        peak_kb = int(status.partition("VmHWM:")[2].split()[0])
        return Usage((int(fields[11]) + int(fields[12])) / _TICKS_PER_S, peak_kb / 1024)

    def reset_peak(self) -> None:
        """Let the peak of the resident set start at what is resident now (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
