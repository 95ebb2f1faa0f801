"""One role as a child process that is started again when it ends, with growing pauses."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Final

from broker.leash import leashed
from broker.supervisor.errors import RoleFailed
from broker.supervisor.folder import DataFolder
from broker.supervisor.roles import Role

CONFIGURATION_ERROR: Final = 2
STARTS_BEFORE_GIVING_UP: Final = 3
PROBE_INTERVAL_S: Final = 0.05
READY_WITHIN_S: Final = 45.0
LINE_CHARACTERS: Final = 300


def pause_before_restart_s(recent_ends: int) -> float:
    """0.5 s after the first end, doubled each time up to 10 s."""
    return min(0.5 * 2.0 ** max(recent_ends - 1, 0), 10.0)


class Member:
    """A supervised role; `reason` says why it is not ready (None: it is), `restarts` counts starts after the first."""

    STEADY_AFTER_S: Final = 30.0

    def __init__(
        self, role: Role, folder: DataFolder, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self.role = role
        self.reason: str | None = "is starting"
        self.restarts = 0
        self.failure: RoleFailed | None = None
        self._folder = folder
        self._environment = environment
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._has_been_ready = False
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def title(self) -> str:
        """The role's name for people."""
        return self.role.title

    def start(self) -> None:
        """Start the process and keep it running until `stop`."""
        self._folder.start_log(self.role.name)
        self._task = asyncio.create_task(self._keep_running())

    async def _keep_running(self) -> None:
        recent_ends = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            lived_s = time.monotonic() - started
            recent_ends = 1 if lived_s > self.STEADY_AFTER_S else recent_ends + 1
            self.reason = f"{_ended(code)}, is being restarted"
            if not self._has_been_ready and (code == CONFIGURATION_ERROR or recent_ends >= STARTS_BEFORE_GIVING_UP):
                self.failure = RoleFailed(f"{self.role.title} did not start: {_ended(code)}.{self._cause()}")
                return
            pause_s = pause_before_restart_s(recent_ends)
            self._say(
                f"{self.role.title} {_ended(code)} after {lived_s:.0f} s and is started again in {pause_s:g} s."
                f"{self._cause()}"
            )
            await self._pause(pause_s)
            self.restarts += 1

    async def _run_once(self) -> int:
        with self._folder.log(self.role.name).open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *leashed(self.role.command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the supervisor alone, which knows the order
            )
        return await self._process.wait()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _cause(self) -> str:
        if self._folder.is_full:
            return f" The disk of {self._folder.path} is full: free some space."
        line = self._folder.last_line(self.role.name)
        return f" Last line of {self._folder.log(self.role.name)}: {line[:LINE_CHARACTERS]}" if line else ""

    async def ready(self) -> None:
        """Return when the role is ready, or takes longer than READY_WITHIN_S; raises RoleFailed when it gave up."""
        deadline = time.monotonic() + READY_WITHIN_S
        while await self.look() and time.monotonic() < deadline:
            if self.failure:
                raise self.failure
            await asyncio.sleep(PROBE_INTERVAL_S)

    async def look(self) -> str | None:
        """Ask the role for its health now; gives and keeps the reason why it is not ready."""
        if self._process is None or self._process.returncode is not None:
            return self.reason
        reason = await asyncio.to_thread(self.role.probe) if self.role.probe else None
        self._has_been_ready = self._has_been_ready or reason is None
        if reason is None or self._has_been_ready:  # a role that is starting does not listen yet: no news
            self.reason = reason
        return reason

    async def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL to its whole group when it takes longer than the role may."""
        self._stopping.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self._task], timeout=self.role.stop_within_s)
        if not done:
            self._say(f"{self.role.title} did not stop within {self.role.stop_within_s:g} s and is killed.")
            self._signal(signal.SIGKILL)
            await self._task
        self.reason = "has stopped"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        try:
            if number == signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:  # it ended in this moment
            return


def _ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
