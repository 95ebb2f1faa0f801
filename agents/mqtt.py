"""The way in: an MQTT 3.1.1 session that outlives the agent, read on the event loop.

The session (clean session off, one client id for good) keeps at the MQTT broker what has not been acknowledged, through
restarts of the agent. A message is acknowledged by `Southbound.acknowledge` only, in the order of arrival.

paho-mqtt runs without a thread of its own here: the loop calls its `loop_read` when the socket is readable, for as many
messages as are there, and its `loop_write` once for all acknowledgements of a batch. That takes a third of the CPU time
of the threaded client and no hand-over between threads.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agents.metrics import Metrics
from agents.retry import delay_s

log = structlog.get_logger(__name__)

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 3
HOUSEKEEPING_S = 1.0
READS_AT_ONCE = 100
"""Packets read before the loop sees to other things."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the MQTT broker is, and who the agent is there."""

    host: str
    port: int
    user: str | None
    password: str | None

    @classmethod
    def of(cls, url: str) -> "Address":
        """Read `mqtt://[user:password@]host[:port]`."""
        parts = urlsplit(url)
        user, password = (unquote(part) if part is not None else None for part in (parts.username, parts.password))
        return cls(parts.hostname or "127.0.0.1", parts.port or 1883, user, password)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Receipt(NamedTuple):
    """What it takes to acknowledge a message: valid on the connection it came by only."""

    connection: int
    packet_id: int
    qos: int


OnMessage = Callable[[str, bytes, datetime, Receipt], None]


class Southbound:
    """The session at the MQTT broker: connects, reconnects endlessly, subscribes, receives, acknowledges."""

    def __init__(self, url: str, client_id: str, filters: Iterable[str], metrics: Metrics) -> None:
        self.address = Address.of(url)
        self.trouble: str | None = "not connected yet"
        """Why there is no connection; None while there is."""
        self.connection = 0
        """Number of the present connection; receipts of earlier ones are void."""
        self._filters = [(topic_filter, 1) for topic_filter in filters]
        self._metrics = metrics
        self._on_message: OnMessage = lambda *_: None
        self._on_resumed: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._descriptor: int | None = None
        """Of the socket that the loop watches."""
        self._read_count = 0
        self._writing = False
        self._paused = False
        self._subscribed = False
        self._closed = False
        self._settled = asyncio.Event()
        """The connection is accepted, refused or lost."""
        self._lost = asyncio.Event()
        self._client = self._make_client(client_id)

    def _make_client(self, client_id: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self.address.user is not None:
            client.username_pw_set(self.address.user, self.address.password)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_socket_close = self._socket_closing
        client.on_socket_register_write = self._write_wanted
        return client

    async def run(self, on_message: OnMessage, on_resumed: Callable[[], None]) -> None:
        """Stay connected until cancelled or closed.

        `on_message` gets each message: topic, payload, time of reception, receipt. `on_resumed` is called when a
        connection has resumed the session, before its first message: everything unacknowledged comes again.
        """
        self._on_message, self._on_resumed = on_message, on_resumed
        self._loop = asyncio.get_running_loop()
        attempt = 0
        while not self._closed:
            self._lost.clear()
            self._settled.clear()
            if await self._connect():
                attempt = 0
                await self._housekeep()
            attempt += 1
            await asyncio.sleep(delay_s(attempt, random.random()))  # noqa: S311 - spreads load, guards nothing

    async def _connect(self) -> bool:
        """Make a connection and wait until it is accepted; False when it is not."""
        try:
            # Resolving and connecting block: in a thread. It touches nothing of the loop, see _write_wanted.
            await asyncio.to_thread(self._client.connect, self.address.host, self.address.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self._tell_trouble(f"{type(error).__name__}: {error}")
            return False
        self._attach()
        try:
            await asyncio.wait_for(self._settled.wait(), CONNECT_TIMEOUT_S)
        except TimeoutError:
            self._tell_trouble("the MQTT broker does not answer CONNECT")
            self._detach()  # the next connect closes the socket
            return False
        return self.trouble is None

    def _attach(self) -> None:
        connected = self._client.socket()
        if connected is None or self._loop is None:
            return
        self._descriptor = connected.fileno()
        self._paused = False
        self._loop.add_reader(self._descriptor, self._readable)
        self._write_wanted()

    def _detach(self) -> None:
        if self._descriptor is not None and self._loop is not None:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
        self._descriptor = None

    async def _housekeep(self) -> None:
        """Keep the connection alive until it is lost."""
        while not self._lost.is_set():
            self._client.loop_misc()
            try:
                await asyncio.wait_for(self._lost.wait(), HOUSEKEEPING_S)
            except TimeoutError:
                continue

    def _readable(self) -> None:
        """Read what is there: paho takes one packet at a call."""
        for _ in range(READS_AT_ONCE):
            before = self._read_count
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or self._read_count == before:
                return

    def _received(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        self._read_count += 1
        receipt = Receipt(self.connection, message.mid, message.qos)
        try:
            topic = message.topic
        except UnicodeDecodeError:  # raised by paho when the bytes of the topic are looked at as text
            topic = "\ufffd"
        self._on_message(topic, bytes(message.payload), datetime.now(UTC), receipt)

    def acknowledge(self, receipts: Iterable[Receipt]) -> None:
        """Acknowledge messages, in the order they came; those of an earlier connection are left: they come again."""
        for receipt in receipts:
            if receipt.connection == self.connection and receipt.qos > 0 and self._descriptor is not None:
                self._client.ack(receipt.packet_id, receipt.qos)

    def pause(self) -> None:
        """Read no more; the MQTT broker holds back what is to come."""
        if self._descriptor is not None and not self._paused and self._loop is not None:
            self._paused = True
            self._loop.remove_reader(self._descriptor)

    def resume(self) -> None:
        """Read again."""
        if self._descriptor is not None and self._paused and self._loop is not None:
            self._paused = False
            self._loop.add_reader(self._descriptor, self._readable)

    def close(self) -> None:
        """Send what is left to send and say goodbye; the session stays at the MQTT broker."""
        self.trouble = "stopped"
        # Not left to a cancellation: up to Python 3.11 wait_for() swallows one that comes together with its result.
        self._closed = True
        if self._descriptor is not None:
            self._client.loop_write()
            self._client.disconnect()
            self._client.loop_write()

    def _connected(
        self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._tell_trouble(f"the MQTT broker refused the connection: {reason}")
            return  # paho closes the socket and reports the disconnection
        self.connection += 1
        self.trouble = None
        self._settled.set()
        self._metrics.connections.inc()
        self._metrics.connected.set(1)
        log.info("connected to the MQTT broker", address=str(self.address), resumed=flags.session_present)
        if flags.session_present:
            self._on_resumed()
        # A resumed session still has its subscriptions; subscribing again would bring retained messages again. The
        # first connection of a process subscribes in any case, because the profiles may have changed.
        if self._filters and not (flags.session_present and self._subscribed):
            client.subscribe(self._filters)
            self._subscribed = True

    def _disconnected(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._metrics.connected.set(0)
        if self.trouble is None:
            self._tell_trouble(f"connection lost: {reason}")
        self._settled.set()
        self._lost.set()

    def _tell_trouble(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("no connection to the MQTT broker", address=str(self.address), why=trouble)
        self.trouble = trouble

    def _socket_closing(self, client: Client, userdata: Any, closing: Any) -> None:
        self._detach()

    def _write_wanted(self, *_: object) -> None:
        """Write once for everything that is asked for in this round of the loop."""
        if self._descriptor is None or self._writing or self._loop is None:
            return  # not attached yet: called in the connecting thread; _attach writes
        self._writing = True
        self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._writing = False
        if self._descriptor is None or self._loop is None:
            return
        self._client.loop_write()
        if self._descriptor is not None and self._client.want_write():
            self._loop.add_writer(self._descriptor, self._write)
        elif self._descriptor is not None:
            self._loop.remove_writer(self._descriptor)
