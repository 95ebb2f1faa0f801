"""The agent: its parts, put together, started and stopped."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import structlog
from fastapi import APIRouter

from agents.api.app import make_app
from agents.api.commands import commands_router
from agents.api.insight import Insight, insight_router
from agents.api.replay import Replay
from agents.api.trial import trial_router
from agents.commands.assembly import make_commands
from agents.commands.base import Commands, NoCommands
from agents.commands.service import RunningCommands
from agents.conversion import Converter
from agents.device import Device
from agents.device_file import DeviceFiles, load_device_files, profile_folders
from agents.errors import ConfigurationError, MeasureError, NotTaken, StoreUnavailable
from agents.intake import Intake
from agents.ledger import Ledger
from agents.membership import Membership
from agents.metrics import Metrics
from agents.mqtt import Southbound
from agents.northbound import Northbound
from agents.ops import listen, make_server
from agents.profile import BUNDLED, Profile, load_profiles
from agents.provisioning.directory import Directory
from agents.provisioning.service import Provisioning
from agents.provisioning.specs import Place
from agents.pseudonyms import Pseudonyms
from agents.reception import Reception
from agents.registry import Registry
from agents.rejections import Rejections
from agents.retry import delay_s
from agents.routing import Router
from agents.sessions import Sessions
from agents.settings import Settings
from agents.silence import Silence
from agents.slots import client_id_of, slot_of
from agents.south.server import South
from agents.speakers import Allowance, Speakers
from agents.storage.mongo_connection import MongoConnection
from agents.storage.mongo_ledger import MongoLedger
from agents.storage.mongo_provisioning import MongoProvisioning
from agents.storage.mongo_rejections import MongoRejections
from agents.storage.mongo_slots import MongoSlots
from agents.tasks import end, leave_nothing_behind
from agents.watching import Watching

log = structlog.get_logger(__name__)

BACKLOG_COUNT = 1024
"""Connections of HTTP devices that may wait until it is known which devices there are."""

FINISH_BATCH_S = 2.5
"""How long a stopping agent waits for the batch under way; then its messages are left to be delivered again."""


class Agent:
    """One IoT agent. `ConfigurationError` when its settings or files are not usable."""

    def __init__(self, settings: Settings) -> None:
        files = settings.device_files
        if not files and not settings.mongodb_uri:
            raise ConfigurationError(
                "There is nowhere to know devices from: MEDINA_DEVICES names no device file, and MONGODB_URI is empty"
            )
        profiles = load_profiles(BUNDLED, *profile_folders(files))
        devices = load_device_files(files, profiles, settings.tenant)
        pseudonyms = _pseudonyms(settings, profiles, devices)
        router = Router(profiles.values())
        self.metrics = Metrics()
        connection = None
        if settings.mongodb_uri:
            connection = MongoConnection(settings.mongodb_uri, settings.database, settings.mongodb_timeout_s)
        kept = None if connection is None else MongoRejections(connection, settings.rejected_kept_count)
        self.rejections = Rejections(settings.rejected_count, pseudonyms, self.metrics, kept)
        self._directory = _directory(connection, settings, profiles)
        sources = [devices] if self._directory is None else [devices, self._directory]
        self._registry = Registry(profiles, sources, pseudonyms, autoprovision=settings.autoprovision)
        if self._directory is not None:
            self._directory.on_change = self._registry.forget
        self._listen(settings)
        self._commands = self._make_commands(connection, settings)
        self._ledger = Ledger()
        self.speakers = Speakers(router, settings.agent_slots)
        self._sessions = Sessions(self._maker(settings, router), settings.agent_slots)
        self._northbound = Northbound(settings.broker_url, settings.batch_count, self.metrics)
        self._secrets = settings.keys()
        converter = Converter(router, self._registry, self._secrets, committed=self._ledger)
        self.reception = self._make_reception(converter, router, settings)
        self._written = None if connection is None else MongoLedger(connection)
        self._intake = self._make_intake(converter, settings)
        self._south = South(
            self._intake, self._registry, self._commands, profiles, self._directory, settings.south_timeout_s, router
        )
        self._insight = Insight(self.speakers, router, pseudonyms)
        self._silence = self._make_silence(settings, devices)
        self._stopping = asyncio.Event()
        self._membership = _membership(connection, settings, self._sessions, self.port)
        self._sessions.bind(
            self._intake.receive,
            self._intake.await_redelivery,
            self._intake.leave,
            self._prepare,
            None if self._membership is None else self._membership.sure,
        )
        log.info("device files read", devices=len(devices), profiles=sorted(profiles))

    def _listen(self, settings: Settings) -> None:
        self._listener = listen(settings.host, settings.agent_port, "MEDINA_AGENT_PORT")
        self._south_listener = listen(settings.host, settings.south_port, "MEDINA_SOUTH_PORT")
        self.port: int = self._listener.getsockname()[1]
        """Where the provisioning API and /health /ready /metrics /rejected are."""
        self.south_port: int = self._south_listener.getsockname()[1]
        """Where HTTP devices send their measures."""

    def _make_reception(self, converter: Converter, router: Router, settings: Settings) -> Reception:
        return Reception(
            converter,
            router,
            self.speakers,
            self._ledger,
            Allowance(settings.device_rate, settings.device_burst_count),
            self.rejections,
            self.metrics,
            self._directory,
        )

    def _make_intake(self, converter: Converter, settings: Settings) -> Intake:
        return Intake(
            self.reception,
            converter,
            self._sessions,
            self._northbound,
            self._ledger,
            self.metrics,
            batch_count=settings.batch_count,
            waiting_count=settings.waiting_count,
            commands=self._commands,
            directory=self._directory,
            written=self._written,
        )

    def _make_silence(self, settings: Settings, devices: DeviceFiles) -> Silence:
        should_speak = [spec for spec in devices.specs() if spec.device_type and spec.expected_interval_s is not None]

        def expected() -> Iterator[Device]:
            """Those of the slots that this agent holds: one agent watches a device that nobody hears."""
            for spec in should_speak:
                if slot_of(f"{spec.apikey}/{spec.id}", settings.agent_slots) in self._sessions.slots:
                    yield self._registry.find(spec.profile, spec.apikey, spec.id)

        return Silence(
            self._registry.devices,
            expected,
            self._intake.write,
            lambda device: self._northbound.known_of(device.target, device.about_id),
            settings.silent_after_intervals,
        )

    def _make_commands(self, connection: MongoConnection | None, settings: Settings) -> Commands:
        if connection is None or self._directory is None:
            return NoCommands()
        commands = make_commands(settings, connection, self._registry, self._directory, self.metrics, self.port)
        self._directory.on_joined = commands.joined
        return commands

    def _maker(self, settings: Settings, router: Router) -> Callable[[int], Southbound]:
        link = settings.link()

        def make(slot: int) -> Southbound:
            client_id = client_id_of(settings.mqtt_client_id, slot, settings.agent_slots)
            return Southbound(link, client_id, router.filters, self.metrics, slot)

        return make

    @property
    def profiles(self) -> Sequence[Profile]:
        """What it reads."""
        return tuple(self._registry.profiles.values())

    @property
    def is_connected(self) -> bool:
        """Whether the sessions of all slots held are up, and any is."""
        return bool(self._sessions.slots) and self._sessions.trouble is None

    @property
    def trouble_of_the_registry(self) -> str | None:
        """Why provisioning is not followed at the moment; None while it is, or when there is none."""
        return None if self._directory is None else self._directory.store.trouble

    @property
    def waiting_count(self) -> int:
        """Messages received and not yet on their way to the context broker."""
        return len(self._intake)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish the batch under way and leave the session at the MQTT broker."""
        await self._northbound.open()
        self._south_listener.listen(BACKLOG_COUNT)  # at once, because two sockets that only bind may share a port
        north, south = make_server(self._app()), make_server(self._south.app())
        serving = asyncio.create_task(north.serve([self._listener]))
        measuring = asyncio.create_task(self._serve_devices(south.serve([self._south_listener])))
        passing_on = asyncio.create_task(self._intake.run())
        commanding = asyncio.create_task(self._commands.run())
        stopped = asyncio.create_task(stop.wait())
        # Each a task of its own: a task that waits for others could not end those that work with MongoDB for sure.
        endless = [
            asyncio.create_task(work)
            for work in (
                self._receive(),
                self._sessions.failed(),
                self._follow(),
                self.rejections.run(),
                self._silence_kept(),
            )
        ]
        parts = (serving, measuring, passing_on, commanding, stopped, *endless)
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            self._intake.stop()
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
        if self._directory is not None:
            provisioning = Provisioning(self._directory, self._registry, self._commands)
        trials = trial_router(self._registry.profiles, self._registry, self._secrets)
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
        replay = Replay(self.rejections.store, self._intake.replay)
        return insight_router(self._insight, Watching(self.reception), self.rejections, replay, self._stopping)

    def _commands_router(self) -> APIRouter:
        return commands_router(self._commands if isinstance(self._commands, RunningCommands) else None)

    async def _silence_kept(self) -> None:
        while True:
            try:
                await self._silence.run()
            except (MeasureError, NotTaken) as error:
                log.warning("the silence of a device is not written", why=str(error))

    async def _receive(self) -> None:
        """Read MQTT messages, once it is known which devices there are."""
        await self._know_devices()
        if self._membership is None:
            self._sessions.open(0)
            await asyncio.Event().wait()
        else:
            await self._membership.run()

    async def _prepare(self, session: str) -> None:
        """Know what the agent that had this session before has sent."""
        attempt = 0
        while self._written is not None:
            try:
                pages = await self._written.open(session)
            except StoreUnavailable as error:
                attempt += 1
                log.warning("the ledger cannot be read", session=session, why=str(error))
                await asyncio.sleep(delay_s(attempt, 0.5))
            else:
                self._ledger.learn(pages)
                self.speakers.raise_floor(self._ledger.floor_ms)
                return

    async def _leave(self) -> None:
        await self._sessions.end()
        if self._membership is not None:
            await self._membership.leave()

    async def _serve_devices(self, serving: Any) -> None:
        """Answer HTTP devices, once it is known which there are: until then their connections wait."""
        try:
            await self._know_devices()
        except asyncio.CancelledError:
            serving.close()
            raise
        await serving

    async def _know_devices(self) -> None:
        if self._directory is not None:
            await self._directory.is_loaded.wait()

    def _trouble_of_the_sessions(self) -> str | None:
        if self._membership is None:
            return self._sessions.trouble or (None if self._sessions.slots else "not connected yet")
        return self._membership.trouble or self._sessions.trouble

    async def _follow(self) -> None:
        """Keep up with what is provisioned."""
        if self._directory is None:
            await asyncio.Event().wait()
        else:
            await self._directory.follow()

    async def _close(self) -> None:
        await self._northbound.close()
        if self._directory is not None:
            await self._directory.store.close()

    async def _checks(self) -> dict[str, str | None]:
        checks = {"mqtt": self._trouble_of_the_sessions(), "broker": await self._northbound.why_not_reachable()}
        if self._directory is not None:
            checks["mongodb"] = self.trouble_of_the_registry
        return {**checks, **self._commands.checks()}


def _membership(
    connection: MongoConnection | None, settings: Settings, sessions: Sessions, port: int
) -> Membership | None:
    """Several agents need a place where they agree; a single one with device files only has its slot for itself."""
    if connection is None:
        if settings.agent_slots > 1:
            raise ConfigurationError("MEDINA_AGENT_SLOTS: agents that share devices need MongoDB; set MONGODB_URI")
        return None
    store = MongoSlots(connection, settings.mqtt_client_id, settings.agent_slots)
    return Membership(store, sessions, port)


def _fail(task: "asyncio.Task[Any]") -> NoReturn:
    """End with what ended a task that should have gone on."""
    task.result()
    raise RuntimeError(f"{task.get_coro()} ended without being asked to")


def _directory(
    connection: MongoConnection | None, settings: Settings, profiles: Mapping[str, Profile]
) -> Directory | None:
    if connection is None:
        return None
    place = Place(settings.tenant, settings.service, settings.agent_context, settings.default_apikey)
    return Directory(MongoProvisioning(connection), profiles, place)


def _pseudonyms(settings: Settings, profiles: Mapping[str, Profile], devices: DeviceFiles) -> Pseudonyms:
    key = settings.key()
    if not key:
        bearing = sorted(name for name in devices.profiles_in_use() if profiles[name].bears_identity)
        if bearing:
            raise ConfigurationError(
                f"Devices with the profiles {', '.join(bearing)} tell about persons: set MEDINA_PSEUDONYM_KEY or "
                "MEDINA_PSEUDONYM_KEY_FILE to a secret of at least 16 bytes"
            )
    return Pseudonyms(key or _unshared_key(), settings.tenant, are_lasting=bool(key))


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
    await leave_nothing_behind()
