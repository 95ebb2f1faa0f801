"""The way in: an MQTT session that outlives the agent, read on the event loop.

The session (clean session off, or no expiry with MQTT 5; one client id for good) keeps at the MQTT broker what has not
been acknowledged, through restarts of the agent. A message is acknowledged by `Southbound.acknowledge` only, in the
order of arrival.

paho-mqtt runs without a thread of its own here: the loop calls its `loop_read` when the socket is readable, for as many
messages as are there, and its `loop_write` once for all acknowledgements of a batch. That takes a third of the CPU time
of the threaded client and no hand-over between threads.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agents.metrics import Metrics
from agents.mqtt_link import Link
from agents.mqtt_trouble import closed_without_answer, not_connected, refused
from agents.retry import delay_s

log = structlog.get_logger(__name__)

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 3
HOUSEKEEPING_S = 1.0
READS_AT_ONCE = 100
"""Packets read before the loop sees to other things."""
FOR_EVER_S = 0xFFFFFFFF
"""Session Expiry Interval of a session that does not expire (MQTT 5, 3.1.2.11.2)."""


class Receipt(NamedTuple):
    """What it takes to acknowledge a message: valid on the connection it came by only."""

    session: "Southbound"
    connection: int
    packet_id: int
    qos: int


OnMessage = Callable[[str, bytes, bool, Receipt], None]
"""Topic, payload, whether it has been delivered before (perhaps), receipt."""
OnResumed = Callable[["Southbound"], None]


class Southbound:
    """The session at the MQTT broker: connects, reconnects endlessly, subscribes, receives, acknowledges."""

    def __init__(self, link: Link, client_id: str, filters: Iterable[str], metrics: Metrics, slot: int = 0) -> None:
        self.client_id = client_id
        self.slot = slot
        """Which share of the devices this session is for; see `agents.slots`."""
        self._link = link
        self.trouble: str | None = "not connected yet"
        """Why there is no connection; None while there is."""
        self.connection = 0
        """Number of the present connection; receipts of earlier ones are void."""
        self._filters = tuple(filters)
        self._metrics = metrics
        self._on_message: OnMessage = lambda *_: None
        self._on_resumed: OnResumed = lambda _: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._descriptor: int | None = None
        """Of the socket that the loop watches."""
        self._read_count = 0
        self._writing = False
        self._paused = False
        self._subscribed = False
        self._closed = False
        self._answered = False
        """The MQTT broker has accepted or refused the connection."""
        self._settled = asyncio.Event()
        """The connection is accepted, refused or lost."""
        self._lost = asyncio.Event()
        self._client = self._make_client(client_id)

    def _make_client(self, client_id: str) -> Client:
        client = self._link.client(client_id)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_socket_close = self._socket_closing
        client.on_socket_register_write = self._write_wanted
        return client

    async def run(
        self, on_message: OnMessage, on_resumed: OnResumed, may_connect: Callable[[], Awaitable[None]]
    ) -> None:
        """Stay connected until cancelled or closed.

        `on_message` gets each message. `on_resumed` is called when a connection has resumed the session, before its
        first message: everything unacknowledged comes again. `may_connect` is waited for before each attempt.
        """
        self._on_message, self._on_resumed = on_message, on_resumed
        self._loop = asyncio.get_running_loop()
        attempt = 0
        while not self._closed:
            self._lost.clear()
            self._settled.clear()
            self._answered = False
            await may_connect()
            if await self._connect():
                attempt = 0
                await self._housekeep()
            attempt += 1
            await asyncio.sleep(delay_s(attempt, random.random()))  # noqa: S311 - spreads load, guards nothing

    async def _connect(self) -> bool:
        """Make a connection and wait until it is accepted; False when it is not."""
        try:
            # Resolving and connecting block: in a thread. It touches nothing of the loop, see _write_wanted.
            await asyncio.to_thread(self._open)
        except (OSError, ValueError) as error:
            self._tell_trouble(not_connected(self._link.address, error))
            return False
        self._attach()
        try:
            await asyncio.wait_for(self._settled.wait(), CONNECT_TIMEOUT_S)
        except TimeoutError:
            self._tell_trouble(f"{self._link.address}: the MQTT broker does not answer CONNECT")
            self._detach()  # the next connect closes the socket
            return False
        return self.trouble is None

    def _open(self) -> None:
        address = self._link.address
        if not self._link.is_mqtt_5:
            self._client.connect(address.host, address.port, KEEPALIVE_S)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho has no types here
        properties.SessionExpiryInterval = FOR_EVER_S
        properties.ReceiveMaximum = self._link.receive_maximum
        self._client.connect(address.host, address.port, KEEPALIVE_S, clean_start=False, properties=properties)

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
            if self._paused:
                self._client._ping_t = 0.0  # the answer to a ping lies behind what is not read: do not miss it
            self._client.loop_misc()
            try:
                await asyncio.wait_for(self._lost.wait(), HOUSEKEEPING_S)
            except TimeoutError:
                continue

    def _readable(self) -> None:
        """Read what is there: paho takes one packet at a call."""
        for _ in range(READS_AT_ONCE):
            before = self._read_count
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            if self._read_count == before and not self._has_decrypted():
                return
        if self._has_decrypted() and self._loop is not None:  # the socket will not be readable for it
            self._loop.call_soon(self._readable_still)

    def _readable_still(self) -> None:
        if self._descriptor is not None and not self._paused:
            self._readable()

    def _has_decrypted(self) -> bool:
        """Whether the TLS layer holds bytes that have been read from the socket."""
        connected = self._client.socket() if self._link.tls is not None else None
        return connected is not None and bool(getattr(connected, "pending", int)())

    def _received(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        self._read_count += 1
        receipt = Receipt(self, self.connection, message.mid, message.qos)
        try:
            topic = message.topic
        except UnicodeDecodeError:  # raised by paho when the bytes of the topic are looked at as text
            topic = "\ufffd"
        self._on_message(topic, bytes(message.payload), message.dup, receipt)

    def acknowledge(self, receipt: Receipt) -> None:
        """Acknowledge a message, in the order they came; one of an earlier connection is left: it comes again."""
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
        if self.trouble is None:
            self._metrics.connected.dec()
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
        self._answered = True
        if reason.is_failure:
            self._tell_trouble(refused(self._link.address, reason))
            return  # paho closes the socket and reports the disconnection
        self.connection += 1
        self.trouble = None
        self._settled.set()
        self._metrics.connections.inc()
        self._metrics.connected.inc()
        log.info("connected to the MQTT broker", address=str(self._link.address), resumed=flags.session_present)
        if flags.session_present:
            self._on_resumed(self)
        # A resumed session still has its subscriptions; subscribing again would bring retained messages again. The
        # first connection of a process subscribes in any case, because the profiles may have changed.
        if self._filters and not (flags.session_present and self._subscribed):
            client.subscribe(self._wanted())
            self._subscribed = True

    def _wanted(self) -> list[Any]:
        """What to subscribe to; with MQTT 5, retained messages come only with a subscription that is new."""
        if not self._link.is_mqtt_5:
            return [(topic_filter, 1) for topic_filter in self._filters]
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        return [(topic_filter, options) for topic_filter in self._filters]

    def _disconnected(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self.trouble is None:
            self._metrics.connected.dec()
            self._tell_trouble(f"{self._link.address}: connection lost: {reason}")
        elif not self._answered and not self._closed:
            self._tell_trouble(closed_without_answer(self._link.address))
        self._settled.set()
        self._lost.set()

    def _tell_trouble(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("no connection to the MQTT broker", why=trouble)
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
