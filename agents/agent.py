"""The agent: its parts, put together, started and stopped."""

import asyncio
import contextlib
from typing import Any, NoReturn

import structlog

from agents.conversion import Converter
from agents.errors import ConfigurationError
from agents.intake import Intake
from agents.metrics import Metrics
from agents.mqtt import Southbound
from agents.northbound import Northbound
from agents.ops import listen, make_app, make_server
from agents.profile import BUNDLED, Profile, load_profiles
from agents.pseudonyms import Pseudonyms
from agents.registry import Registry, load_registry, profile_folders
from agents.rejections import Rejections
from agents.routing import Router
from agents.settings import Settings

log = structlog.get_logger(__name__)

FINISH_BATCH_S = 2.5
"""How long a stopping agent waits for the batch under way; then its messages are left to be delivered again."""


class Agent:
    """One IoT agent. `ConfigurationError` when its settings or files are not usable."""

    def __init__(self, settings: Settings) -> None:
        files = settings.device_files
        if not files:
            raise ConfigurationError("MEDINA_DEVICES names no device file; set it, e.g. to pilots/campus/devices.toml")
        profiles = load_profiles(BUNDLED, *profile_folders(files))
        registry = load_registry(files, profiles)
        pseudonyms = _pseudonyms(settings, profiles, registry)
        router = Router(profiles.values())
        self.metrics = Metrics()
        self.rejections = Rejections(settings.rejected_count, pseudonyms, self.metrics)
        self._converter = Converter(router, registry, pseudonyms)
        self._southbound = Southbound(settings.mqtt_url, settings.mqtt_client_id, router.filters, self.metrics)
        self._northbound = Northbound(settings.broker_url, settings.tenant, settings.batch_count, self.metrics)
        self._intake = Intake(
            self._converter,
            router,
            self._southbound,
            self._northbound,
            self.rejections,
            self.metrics,
            batch_count=settings.batch_count,
            waiting_count=settings.waiting_count,
        )
        self._listener = listen(settings.host, settings.agent_port)
        self.port: int = self._listener.getsockname()[1]
        """Where /health /ready /metrics /rejected are."""
        log.info("device files read", devices=len(registry), profiles=sorted(profiles))

    @property
    def is_connected(self) -> bool:
        """Whether the MQTT session is up."""
        return self._southbound.trouble is None

    @property
    def waiting_count(self) -> int:
        """Messages received and not yet on their way to the context broker."""
        return len(self._intake)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish the batch under way and leave the session at the MQTT broker."""
        await self._northbound.open()
        server = make_server(make_app(self._checks, self.metrics.registry, self.rejections))
        serving = asyncio.create_task(server.serve([self._listener]))
        receiving = asyncio.create_task(self._southbound.run(self._intake.receive, self._intake.await_redelivery))
        passing_on = asyncio.create_task(self._intake.run())
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait((serving, receiving, passing_on, stopped), return_when=asyncio.FIRST_COMPLETED)
            self._intake.stop()
            await asyncio.wait((passing_on,), timeout=FINISH_BATCH_S)
            self._southbound.close()
            for task in done - {stopped}:
                _fail(task)
        finally:
            server.should_exit = True
            for task in (receiving, passing_on, stopped):
                task.cancel()
            await asyncio.gather(serving, receiving, passing_on, stopped, return_exceptions=True)
            await self._northbound.close()

    async def _checks(self) -> dict[str, str | None]:
        return {"mqtt": self._southbound.trouble, "broker": await self._northbound.why_not_reachable()}


def _fail(task: "asyncio.Task[Any]") -> NoReturn:
    """End with what ended a task that should have gone on."""
    task.result()
    raise RuntimeError(f"{task.get_coro()} ended without being asked to")


def _pseudonyms(settings: Settings, profiles: dict[str, Profile], registry: Registry) -> Pseudonyms:
    key = settings.key()
    if not key:
        bearing = sorted(name for name in registry.profiles_in_use() if profiles[name].bears_identity)
        if bearing:
            raise ConfigurationError(
                f"Devices with the profiles {', '.join(bearing)} tell about persons: set MEDINA_PSEUDONYM_KEY or "
                "MEDINA_PSEUDONYM_KEY_FILE to a secret of at least 16 bytes"
            )
    return Pseudonyms(key or _unshared_key(), settings.tenant)


def _unshared_key() -> bytes:
    """Make a key for fingerprints of payloads, where no pseudonym is ever made."""
    import secrets

    return secrets.token_bytes(32)


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
