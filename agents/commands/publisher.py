"""The way out over MQTT: a connection of its own, made with the first message, without a session.

MQTT 5, because there the broker says when nobody is subscribed (reason code 16): the device is offline without a
session, so the message would be lost. With an older broker (3.1.1) that cannot be known, and its acknowledgement is
all there is.
A lost connection is given up as a whole: what was under way has failed, and whoever published decides what to do.
"""

import asyncio
import re
import ssl
from time import monotonic
from typing import Any, NamedTuple

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agents.commands.command import Outcome

log = structlog.get_logger(__name__)

KEEPALIVE_S = 30
CONNECT_WITHIN_S = 5.0
ACKNOWLEDGED_WITHIN_S = 10.0
TRY_AGAIN_S = 0.3
"""For so long after a connection has failed nobody tries again."""
NO_MATCHING_SUBSCRIBERS = 16
_NOT_IN_TOPICS = re.compile(r"[+#\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Wildcards, and what makes MQTT brokers close the connection (MQTT 5, 1.5.4), which others publish on as well."""

_5, _3 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311


class MqttServer(NamedTuple):
    """Where the MQTT broker is."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None


class _Connection:
    """One connection, until it is lost. paho runs in a thread of its own; its news come to the event loop."""

    def __init__(self, server: MqttServer, client_id: str, version: MQTTProtocolVersion) -> None:
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[str | None] = self._loop.create_future()
        """Why there is no connection; None when there is one."""
        self.version = version
        self.is_lost = False
        self.is_reached = False
        """There is a server, whatever it says to CONNECT."""
        self._waiting: dict[int, asyncio.Future[ReasonCode | None]] = {}
        self._early: dict[int, ReasonCode] = {}
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, reconnect_on_failure=False
        )
        self._client.connect_timeout = CONNECT_WITHIN_S
        if server.user is not None:
            self._client.username_pw_set(server.user, server.password)
        if server.tls is not None:
            self._client.tls_set_context(server.tls)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._published
        self._server = server

    async def open(self) -> str | None:
        """Connect; why that failed, None when it did not."""
        try:
            await asyncio.to_thread(self._client.connect, self._server.host, self._server.port, KEEPALIVE_S)
            self.is_reached = True
            self._client.loop_start()
            return await asyncio.wait_for(self.opened, CONNECT_WITHIN_S)
        except TimeoutError:
            self.is_lost = True
            return "the MQTT broker does not answer CONNECT"
        except (OSError, ValueError) as error:
            self.is_lost = True
            return f"{type(error).__name__}: {error}"

    async def publish(
        self, topic: str, payload: bytes, qos: int, properties: Properties | None, *, retain: bool
    ) -> ReasonCode | None:
        """Publish; the broker's reason code, None when there is none because the connection was lost. TimeoutError."""
        told = self._client.publish(topic, payload, qos, retain, properties if self.version == _5 else None)
        if told.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        if (early := self._early.pop(told.mid, None)) is not None:
            return early
        waiting = self._waiting[told.mid] = self._loop.create_future()
        try:
            return await asyncio.wait_for(waiting, ACKNOWLEDGED_WITHIN_S)
        finally:
            self._waiting.pop(told.mid, None)

    async def close(self) -> None:
        """Say goodbye and end the thread."""
        self.is_lost = True
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    # called in paho's thread

    def _connected(
        self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._tell(self._open, str(reason) if reason.is_failure else None)

    def _disconnected(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._tell(self._lose, str(reason))

    def _published(
        self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._tell(self._acknowledge, mid, reason)

    def _tell(self, function: Any, *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    # called in the event loop

    def _open(self, trouble: str | None) -> None:
        if not self.opened.done():
            self.opened.set_result(trouble)

    def _lose(self, why: str) -> None:
        self.is_lost = True
        self._open(why)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)

    def _acknowledge(self, mid: int, reason: ReasonCode) -> None:
        waiting = self._waiting.get(mid)
        if waiting is None:
            self._early[mid] = reason
        elif not waiting.done():
            waiting.set_result(reason)


class Publisher:
    """Publishes; connects when there is something to publish."""

    def __init__(self, server: MqttServer, client_id: str) -> None:
        """`client_id`: no other client may have it."""
        self._server = server
        self._client_id = client_id
        self._version = _5
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._trouble: str | None = None
        self._tried_at = 0.0

    async def publish(
        self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False, command: str = ""
    ) -> Outcome:
        """Publish a message; what became of it. `command`: the user property that tells which command it is."""
        if _NOT_IN_TOPICS.search(topic):
            said = "a topic cannot have the characters of its apikey or device"
            return Outcome("refused", f"the message cannot be published: {said}", said)
        connection, trouble = await self._connected()
        if connection is None:
            return Outcome("later", f"no connection to the MQTT broker: {trouble}")
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if command:
            properties.UserProperty = [("command", command)]
        try:
            reason = await connection.publish(topic, payload, qos, properties, retain=retain)
        except TimeoutError:
            await connection.close()
            return Outcome("later", "the MQTT broker has not acknowledged it in time")
        except ValueError as error:
            return Outcome("refused", f"the message cannot be published: {error}", str(error))
        if reason is None:
            return Outcome("later", "the connection to the MQTT broker was lost")
        if reason.value == NO_MATCHING_SUBSCRIBERS and not retain:
            return Outcome("later", "the device is not subscribed")
        if reason.is_failure:
            return Outcome("later", f"the MQTT broker did not take it: {reason}")
        return Outcome("delivered", "taken by the MQTT broker")

    async def open(self) -> None:
        """Nothing yet."""

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> tuple[_Connection | None, str | None]:
        async with self._connecting:
            if self._connection is not None and not self._connection.is_lost:
                return self._connection, None
            if self._trouble is not None and monotonic() < self._tried_at + TRY_AGAIN_S:
                return None, self._trouble  # told to all who have waited meanwhile
            if self._connection is not None:
                await self._connection.close()
            connection = self._connection = _Connection(self._server, self._client_id, self._version)
            self._trouble = await connection.open()
            self._tried_at = monotonic()
            if self._trouble is None:
                self._version = _5  # for the next connection: it may be another broker by then
                return connection, None
            log.warning("no connection to the MQTT broker for commands", why=self._trouble, version=int(self._version))
            if connection.is_reached:  # it may not know this version
                self._version = _3 if self._version == _5 else _5
            await connection.close()
            return None, self._trouble
