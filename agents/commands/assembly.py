"""The parts of the commands, put together."""

from uuid import uuid4

from agents.commands.configuration import Configuration
from agents.commands.context_broker import ContextBroker
from agents.commands.dispatcher import Dispatcher
from agents.commands.publisher import MqttServer, Publisher
from agents.commands.push import Pusher
from agents.commands.service import RunningCommands
from agents.commands.upkeep import Upkeep
from agents.metrics import Metrics
from agents.mqtt_link import Link
from agents.northbound import Northbound
from agents.provisioning.directory import Directory
from agents.registry import Registry
from agents.settings import Settings
from agents.storage.mongo_commands import MongoCommands
from agents.storage.mongo_connection import MongoConnection


def make_commands(
    settings: Settings,
    connection: MongoConnection,
    registry: Registry,
    directory: Directory,
    metrics: Metrics,
    port: int,
) -> RunningCommands:
    """Return the commands of an agent. `port`: where it listens, if no setting says how it is reached."""
    store = MongoCommands(connection)
    broker = ContextBroker(settings.broker_url)
    northbound = Northbound(settings.broker_url, settings.batch_count, metrics)
    publisher = Publisher(_server(settings.link()), f"{settings.mqtt_client_id}-commands-{uuid4().hex[:8]}")
    pusher = Pusher()
    return RunningCommands(
        store,
        Dispatcher(store, publisher, pusher, northbound, metrics),
        Upkeep(store, broker, settings.notify_url(port), settings.database),
        Configuration(broker, publisher, pusher, metrics),
        registry,
        directory,
        metrics,
        (broker, northbound, publisher, pusher),
        expires_s=settings.command_expires_s,
    )


def _server(link: Link) -> MqttServer:
    address = link.address
    return MqttServer(address.host, address.port, address.user, address.password, link.tls)
