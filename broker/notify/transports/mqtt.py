"""Notifications over MQTT and MQTTS (clause 7.2): published to the topic that the endpoint's URI names.

The message is {"metadata": {the headers that HTTP would have}, "body": the notification}. `notifierInfo` chooses
`MQTT-Version` (mqtt5.0, mqtt3.1.1) and `MQTT-QoS` (0, 1, 2). With QoS 1 and 2 the MQTT broker's acknowledgement makes
the delivery; with QoS 0 there is none, and what is written to the connection counts as delivered.

Connections are shared by all endpoints that are the same MQTT broker, account, version and security; they are kept, and
closed when nothing was published for a minute.
"""

import asyncio
from typing import NamedTuple

import orjson
import structlog
from paho.mqtt.enums import MQTTProtocolVersion

from broker.notify.transports.base import Destination, Outcome, Transport
from broker.notify.transports.mqtt_connection import Account, MqttConnection
from broker.notify.transports.outside import Outside
from ngsi.endpoint_uri import parse_mqtt

CONNECT_WITHIN_S = 10.0
IDLE_S = 60.0
_HOUSEKEEPING_S = 1.0
_TOLD_MAX = 300
_VERSIONS = {"mqtt5.0": MQTTProtocolVersion.MQTTv5, "mqtt3.1.1": MQTTProtocolVersion.MQTTv311}

log = structlog.get_logger(__name__)


class _Order(NamedTuple):
    """What a destination means for MQTT. `head` is the message before the notification."""

    account: Account
    topic: str
    qos: int
    head: bytes


class MqttTransport(Transport):
    """All connections to MQTT brokers. To be made inside the event loop.

    Whoever needs a connection that is being made waits for the same one, each within its own time.
    """

    def __init__(self, outside: Outside, idle_s: float = IDLE_S) -> None:
        self._outside = outside
        self._idle_s = idle_s
        self._connections: dict[Account, MqttConnection] = {}
        self._opening: dict[Account, asyncio.Task[MqttConnection]] = {}
        self._housekeeper: asyncio.Task[None] | None = None

    @property
    def connections_count(self) -> int:
        """Connections that are open now."""
        return sum(connection.trouble is None for connection in self._connections.values())

    async def send(self, destination: Destination, body: bytes) -> Outcome:
        """See Transport."""
        try:
            if destination.prepared is None:
                destination.prepared = _order(destination)
        except ValueError:  # its text may show what must not be shown
            return Outcome("the endpoint's URI cannot be used for MQTT")
        order: _Order = destination.prepared
        try:
            async with asyncio.timeout(destination.timeout_s):
                return await self._publish(order, body)
        except TimeoutError:
            is_open = order.account in self._connections
            what = "no acknowledgement by" if is_open else "no connection to"
            return Outcome(f"{what} the MQTT broker {order.account.place} within {destination.timeout_s:g} s")
        except (OSError, ValueError) as exc:
            told = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            return Outcome(f"no connection to the MQTT broker {order.account.place}: {told}"[:_TOLD_MAX])

    async def close(self) -> None:
        """See Transport."""
        tasks = [*self._opening.values(), *([self._housekeeper] if self._housekeeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    async def _publish(self, order: _Order, body: bytes) -> Outcome:
        message = b"".join((order.head, body, b"}"))
        kept = self._connections.get(order.account)
        if kept is not None and kept.trouble is None:
            outcome = await kept.publish(order.topic, message, order.qos)
            # It may have been closed at the other end just now; then one attempt on a new connection is fair.
            if outcome.is_delivered or kept.trouble is None:
                return outcome
        connection = await self._connected(order.account)
        return await connection.publish(order.topic, message, order.qos)

    async def _connected(self, account: Account) -> MqttConnection:
        connection = self._connections.get(account)
        if connection is not None and connection.trouble is None:
            return connection
        opening = self._opening.get(account)
        if opening is None:
            opening = self._opening[account] = asyncio.get_running_loop().create_task(self._open(account))
            opening.add_done_callback(lambda done: self._opened(account, done))
        return await asyncio.shield(opening)

    async def _open(self, account: Account) -> MqttConnection:
        connection = MqttConnection(account, self._outside)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await connection.open()
        except TimeoutError:
            raise ConnectionError(f"nothing heard within {CONNECT_WITHIN_S:g} s") from None
        log.info("connected to an MQTT broker", address=account.place, is_tls=account.is_tls)
        return connection

    def _opened(self, account: Account, done: asyncio.Task[MqttConnection]) -> None:
        del self._opening[account]
        if not done.cancelled() and done.exception() is None:
            self._connections[account] = done.result()
            if self._housekeeper is None:
                self._housekeeper = asyncio.get_running_loop().create_task(self._keep_house())

    async def _keep_house(self) -> None:
        """Keeps connections alive, closes those that nobody uses and forgets those that are lost, for ever."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            unused_since_s = asyncio.get_running_loop().time() - self._idle_s
            for account, connection in list(self._connections.items()):
                connection.keep_alive()
                if connection.trouble is None and connection.is_idle and connection.used_at_s < unused_since_s:
                    connection.close("not used any more")
                if connection.trouble is not None:
                    log.info("disconnected from an MQTT broker", address=account.place, why=connection.trouble)
                    del self._connections[account]


def _order(destination: Destination) -> _Order:
    endpoint = parse_mqtt(destination.uri)
    version = _VERSIONS.get(destination.options.get("MQTT-Version", ""), MQTTProtocolVersion.MQTTv5)
    account = Account(endpoint.is_tls, endpoint.host, endpoint.port, endpoint.user, endpoint.password, version)
    qos = int(destination.options.get("MQTT-QoS", "0"))
    head = b'{"metadata":' + orjson.dumps(dict(destination.headers)) + b',"body":'
    return _Order(account, endpoint.topic, qos, head)
