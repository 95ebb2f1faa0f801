"""The parts of the commands, put together."""

from uuid import uuid4

from agents.commands.composition import Composer
from agents.commands.configuration import Configuration
from agents.commands.context_broker import ContextBroker
from agents.commands.dispatcher import Dispatcher
from agents.commands.following import Following
from agents.commands.keeping import Keeping
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
from agents.storage.mongo_followed import MongoFollowed


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
    notify_url = settings.notify_url(port)
    dispatcher = Dispatcher(store, publisher, pusher, northbound, metrics)
    configuration = Configuration(broker, publisher, pusher, metrics)
    following = Following(
        MongoFollowed(connection),
        configuration,
        broker,
        registry.without_joining(),
        metrics,
        lambda: dispatcher.leads,
        notify_url,
        settings.database,
        settings.command_expires_s,
    )
    upkeep = Upkeep(store, broker, notify_url, settings.database)
    return RunningCommands(
        store,
        dispatcher,
        Keeping(store, upkeep, following, directory, lambda: dispatcher.leads),
        configuration,
        following,
        Composer(directory, settings.command_expires_s),
        directory.place,
        metrics,
        (broker, northbound, publisher, pusher),
    )


def _server(link: Link) -> MqttServer:
    address = link.address
    return MqttServer(address.host, address.port, address.user, address.password, link.tls)
