"""The agent: its parts started and stopped in their order. They are put together in `agents.assembly`."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NoReturn

import structlog
from fastapi import APIRouter

from agents.api.app import make_app
from agents.api.commands import commands_router
from agents.api.insight import insight_router
from agents.api.replay import Replay
from agents.api.trial import trial_router
from agents.assembly import Parts
from agents.commands.service import RunningCommands
from agents.errors import MeasureError, NotTaken, StoreUnavailable
from agents.ops import make_server
from agents.profile import Profile
from agents.provisioning.service import Provisioning
from agents.retry import delay_s
from agents.settings import Settings
from agents.tasks import end
from agents.watching import Watching

log = structlog.get_logger(__name__)

BACKLOG_COUNT = 1024
"""Connections of HTTP devices that may wait until it is known which devices there are."""

FINISH_BATCH_S = 2.5
"""How long a stopping agent waits for the batch under way; then its messages are left to be delivered again."""


class Agent:
    """One IoT agent. `ConfigurationError` when its settings or files are not usable."""

    def __init__(self, settings: Settings) -> None:
        self._parts = parts = Parts(settings)
        self.metrics = parts.metrics
        self.rejections = parts.rejections
        self.reception = parts.reception
        self.port = parts.port
        """Where the provisioning API and /health /ready /metrics /rejected are."""
        self.south_port: int = parts.south_listener.getsockname()[1]
        """Where HTTP devices send their measures."""
        self._stopping = asyncio.Event()
        parts.sessions.bind(
            parts.intake.receive,
            parts.intake.await_redelivery,
            parts.intake.leave,
            self._prepare,
            None if parts.membership is None else parts.membership.sure,
        )

    @property
    def profiles(self) -> Sequence[Profile]:
        """What it reads."""
        return tuple(self._parts.registry.profiles.values())

    @property
    def is_connected(self) -> bool:
        """Whether the sessions of all slots held are up, and any is."""
        return bool(self._parts.sessions.slots) and self._parts.sessions.trouble is None

    @property
    def trouble_of_the_registry(self) -> str | None:
        """Why provisioning is not followed at the moment; None while it is, or when there is none."""
        return None if self._parts.directory is None else self._parts.directory.store.trouble

    @property
    def waiting_count(self) -> int:
        """Messages received and not yet on their way to the context broker."""
        return len(self._parts.intake)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish the batch under way and leave the session at the MQTT broker."""
        await self._parts.northbound.open()
        self._parts.south_listener.listen(BACKLOG_COUNT)  # at once, because two sockets that only bind may share a port
        north, south = make_server(self._app()), make_server(self._parts.south.app())
        serving = asyncio.create_task(north.serve([self._parts.listener]))
        measuring = asyncio.create_task(self._serve_devices(south.serve([self._parts.south_listener])))
        passing_on = asyncio.create_task(self._parts.intake.run())
        commanding = asyncio.create_task(self._parts.commands.run())
        stopped = asyncio.create_task(stop.wait())
        # Each a task of its own: a task that waits for others could not end those that work with MongoDB for sure.
        endless = [
            asyncio.create_task(work)
            for work in (
                self._receive(),
                self._parts.sessions.failed(),
                self._follow(),
                self.rejections.run(),
                self._silence_kept(),
            )
        ]
        parts = (serving, measuring, passing_on, commanding, stopped, *endless)
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            self._parts.intake.stop()
            await asyncio.wait((passing_on,), timeout=FINISH_BATCH_S)
            await self._leave()
            for task in done - {stopped}:
                _fail(task)
        finally:
            north.should_exit = south.should_exit = True
            commanding.cancel()
            await end([passing_on, stopped, *endless])
            if not south.started:
                measuring.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            await self._close()

    def _app(self) -> Any:
        provisioning = None
        if self._parts.directory is not None:
            provisioning = Provisioning(self._parts.directory, self._parts.registry, self._parts.commands)
        trials = trial_router(self._parts.registry.profiles, self._parts.registry, self._parts.secrets)
        return make_app(
            self._checks,
            self.metrics.registry,
            provisioning,
            self.port,
            trials,
            self._commands_router(),
            self._insight_router(),
        )

    def _insight_router(self) -> APIRouter:
        replay = Replay(self.rejections.store, self._parts.intake.replay)
        return insight_router(self._parts.insight, Watching(self.reception), self.rejections, replay, self._stopping)

    def _commands_router(self) -> APIRouter:
        return commands_router(self._parts.commands if isinstance(self._parts.commands, RunningCommands) else None)

    async def _silence_kept(self) -> None:
        while True:
            try:
                await self._parts.silence.run()
            except (MeasureError, NotTaken) as error:
                log.warning("the silence of a device is not written", why=str(error))

    async def _receive(self) -> None:
        """Read MQTT messages, once it is known which devices there are."""
        await self._know_devices()
        if self._parts.membership is None:
            self._parts.sessions.open(0)
            await asyncio.Event().wait()
        else:
            await self._parts.membership.run()

    async def _prepare(self, session: str) -> None:
        """Know what the agent that had this session before has sent."""
        attempt = 0
        while self._parts.written is not None:
            try:
                pages = await self._parts.written.open(session)
            except StoreUnavailable as error:
                attempt += 1
                log.warning("the ledger cannot be read", session=session, why=str(error))
                await asyncio.sleep(delay_s(attempt, 0.5))
            else:
                self._parts.ledger.learn(pages)
                self._parts.speakers.raise_floor(self._parts.ledger.floor_ms)
                return

    async def _leave(self) -> None:
        await self._parts.sessions.end()
        if self._parts.membership is not None:
            await self._parts.membership.leave()

    async def _serve_devices(self, serving: Any) -> None:
        """Answer HTTP devices, once it is known which there are: until then their connections wait."""
        try:
            await self._know_devices()
        except asyncio.CancelledError:
            serving.close()
            raise
        await serving

    async def _know_devices(self) -> None:
        if self._parts.directory is not None:
            await self._parts.directory.is_loaded.wait()

    def _trouble_of_the_sessions(self) -> str | None:
        if self._parts.membership is None:
            return self._parts.sessions.trouble or (None if self._parts.sessions.slots else "not connected yet")
        return self._parts.membership.trouble or self._parts.sessions.trouble

    async def _follow(self) -> None:
        """Keep up with what is provisioned."""
        if self._parts.directory is None:
            await asyncio.Event().wait()
        else:
            await self._parts.directory.follow()

    async def _close(self) -> None:
        await self._parts.northbound.close()
        await self.rejections.flush()
        if self._parts.directory is not None:
            await self._parts.directory.store.close()

    async def _checks(self) -> dict[str, str | None]:
        checks = {"mqtt": self._trouble_of_the_sessions(), "broker": await self._parts.northbound.why_not_reachable()}
        if self._parts.directory is not None:
            checks["mongodb"] = self.trouble_of_the_registry
        return {**checks, **self._parts.commands.checks()}


def _fail(task: "asyncio.Task[Any]") -> NoReturn:
    """End with what ended a task that should have gone on."""
    task.result()
    raise RuntimeError(f"{task.get_coro()} ended without being asked to")


async def run_until_signalled(agent: Agent) -> None:
    """Run the agent until SIGTERM or SIGINT."""
    import signal

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    await agent.run(stop)
    log.info("agent stopped")
