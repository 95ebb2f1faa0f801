"""The parts of an agent, put together. What runs them is in `agents.agent`."""

import secrets
from collections.abc import Callable, Mapping

import structlog

from agents.api.insight import Insight
from agents.commands.assembly import make_commands
from agents.commands.base import Commands, NoCommands
from agents.conversion import Converter
from agents.device_file import DeviceFiles, load_device_files, profile_folders
from agents.errors import ConfigurationError
from agents.expected import Expected
from agents.intake import Intake
from agents.ledger import Ledger
from agents.membership import Membership
from agents.metrics import Metrics
from agents.mqtt import Southbound
from agents.northbound import Northbound
from agents.ops import listen
from agents.profile import BUNDLED, Profile, load_profiles
from agents.provisioning.directory import Directory
from agents.provisioning.specs import Place
from agents.pseudonyms import Pseudonyms
from agents.reception import Reception
from agents.registry import Registry
from agents.rejections import Rejections
from agents.routing import Router
from agents.sessions import Sessions
from agents.settings import Settings
from agents.silence import Silence
from agents.slots import client_id_of
from agents.south.server import South
from agents.speakers import Allowance, Speakers
from agents.storage.mongo_connection import MongoConnection
from agents.storage.mongo_ledger import MongoLedger
from agents.storage.mongo_provisioning import MongoProvisioning
from agents.storage.mongo_rejections import MongoRejections
from agents.storage.mongo_slots import MongoSlots

log = structlog.get_logger(__name__)


class Parts:
    """Everything that an agent consists of. `ConfigurationError` when its settings or files are not usable."""

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
        self.directory = _directory(connection, settings, profiles)
        sources = [devices] if self.directory is None else [devices, self.directory]
        self.registry = Registry(profiles, sources, pseudonyms, autoprovision=settings.autoprovision)
        if self.directory is not None:
            self.directory.on_change = self.registry.forget
        self.listener = listen(settings.host, settings.agent_port, "MEDINA_AGENT_PORT")
        self.south_listener = listen(settings.host, settings.south_port, "MEDINA_SOUTH_PORT")
        self.port: int = self.listener.getsockname()[1]
        self.commands = self._make_commands(connection, settings)
        self.ledger = Ledger()
        self.speakers = Speakers(router, settings.agent_slots)
        self.sessions = Sessions(self._maker(settings, router), settings.agent_slots)
        self.northbound = Northbound(settings.broker_url, settings.batch_count, self.metrics)
        self.secrets = settings.keys()
        converter = Converter(router, self.registry, self.secrets, committed=self.ledger)
        self.reception = self._make_reception(converter, router, settings)
        self.written = None if connection is None else MongoLedger(connection)
        self.intake = self._make_intake(converter, settings)
        self.south = South(
            self.intake, self.registry, self.commands, profiles, self.directory, settings.south_timeout_s, router
        )
        self.insight = Insight(self.speakers, router, pseudonyms)
        self.silence = self._make_silence(settings, devices)
        self.membership = _membership(connection, settings, self.sessions, self.port)
        log.info("device files read", devices=len(devices), profiles=sorted(profiles))

    def _make_reception(self, converter: Converter, router: Router, settings: Settings) -> Reception:
        return Reception(
            converter,
            router,
            self.speakers,
            self.ledger,
            Allowance(settings.device_rate, settings.device_burst_count),
            self.rejections,
            self.metrics,
            self.directory,
        )

    def _make_intake(self, converter: Converter, settings: Settings) -> Intake:
        return Intake(
            self.reception,
            converter,
            self.sessions,
            self.northbound,
            self.ledger,
            self.metrics,
            batch_count=settings.batch_count,
            waiting_count=settings.waiting_count,
            commands=self.commands,
            directory=self.directory,
            written=self.written,
        )

    def _make_silence(self, settings: Settings, devices: DeviceFiles) -> Silence:
        expected = Expected(
            devices.specs(), self.directory, self.registry, lambda: self.sessions.slots, settings.agent_slots
        )
        return Silence(
            self.registry.devices,
            expected,
            self.intake.write,
            lambda device: self.northbound.known_of(device.target, device.about_id),
            settings.silent_after_intervals,
        )

    def _make_commands(self, connection: MongoConnection | None, settings: Settings) -> Commands:
        if connection is None or self.directory is None:
            return NoCommands()
        commands = make_commands(settings, connection, self.registry, self.directory, self.metrics, self.port)
        self.directory.on_joined = commands.joined
        return commands

    def _maker(self, settings: Settings, router: Router) -> Callable[[int], Southbound]:
        link = settings.link()

        def make(slot: int) -> Southbound:
            client_id = client_id_of(settings.mqtt_client_id, slot, settings.agent_slots)
            return Southbound(link, client_id, router.filters, self.metrics, slot)

        return make


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
    return secrets.token_bytes(32)
