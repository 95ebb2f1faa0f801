"""One connection to an MQTT broker, for publishing: made once, lost once, never taken up again.

paho-mqtt runs without a thread of its own: the event loop calls its `loop_read` and `loop_write`. The socket is made
here, TLS included, because paho would wait for name, connection and handshake. Every connection has a client of its own
that is thrown away with it: what was not acknowledged on a lost connection is tried again by whoever asked for it, in
its own order, and not by paho behind its back.
"""

import asyncio
import socket
import ssl
import struct
from typing import Any, NamedTuple
from uuid import uuid4

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.notify.transports.base import DELIVERED, Outcome
from broker.notify.transports.outside import Outside

KEEPALIVE_S = 30
_UNACKNOWLEDGED_MAX = 100
_UNACKNOWLEDGED_MAX_3 = 20  # What brokers take without saying so: mosquitto's default.
_SILENT_S = 1.0
_HEADER_BYTES = 16
_PACKET_BYTES_MAX = 64 * 1024
_FIRST_ERROR = 0x80
_NO_LINGERING = struct.pack("ii", 1, 0)
_LATER = frozenset({"Quota exceeded", "Server busy", "Implementation specific error", "Unspecified error"})
_OLDER_HINT = "; if it knows MQTT 3.1.1 only, set MQTT-Version to mqtt3.1.1 in notifierInfo"


class Account(NamedTuple):
    """With whom a connection is made, as whom, and how. It is a secret: nothing of it but host and port is shown."""

    is_tls: bool
    host: str
    port: int
    user: str | None
    password: str | None
    version: MQTTProtocolVersion

    @property
    def place(self) -> str:
        """The MQTT broker's address, for people."""
        return f"{self.host}:{self.port}"


class _Publisher(Client):
    """paho's client on a socket that is there already, more careful with what comes in."""

    ready: socket.socket

    def _create_socket(self) -> Any:
        return self.ready

    def _sock_recv(self, bufsize: int) -> bytes:
        """Acknowledgements are small; paho would make room for 256 MB if the other side said so."""
        if bufsize > _PACKET_BYTES_MAX:
            raise ConnectionError("packet too large")
        return super()._sock_recv(bufsize)

    def _handle_publish(self) -> MQTTErrorCode:
        """Nothing was subscribed to, so nothing may come."""
        return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _handle_pubrec(self) -> MQTTErrorCode:
        """A PUBREC with an error ends the exchange (MQTT 5 section 4.3.3); paho would take it for a success."""
        packet = self._in_packet["packet"]
        packet_id = int.from_bytes(packet[:2], "big")
        if len(packet) > 2 and packet[2] >= _FIRST_ERROR and packet_id in self._out_messages:
            reason = ReasonCode(PacketTypes.PUBREC, identifier=packet[2])
            properties = Properties(PacketTypes.PUBREC)  # type: ignore[no-untyped-call]  # paho's own gap
            return self._do_on_publish(packet_id, reason, properties)
        return super()._handle_pubrec()


class MqttConnection:
    """Publishes and waits for the acknowledgement. `open` comes first; `trouble` says why it can no longer be used."""

    def __init__(self, account: Account, outside: Outside) -> None:
        self.account = account
        self.trouble: str | None = "not open yet"
        self.used_at_s = 0.0
        self._outside = outside
        self._loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._unanswered: dict[int, asyncio.Future[Outcome]] = {}
        self._unacknowledged: set[int] = set()
        self._places = asyncio.Semaphore(_UNACKNOWLEDGED_MAX_3)
        self._queued_count = 0
        self._packet_bytes_max: int | None = None
        self._qos_max = 2
        self._received_at_s = 0.0
        self._socket: socket.socket | None = None
        self._descriptor: int | None = None
        self._is_write_due = False
        self._client = self._make_client()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an acknowledgement."""
        return not self._unanswered and not self._queued_count

    async def open(self) -> None:
        """Connects; OSError says why not."""
        account = self.account
        self._attach(await self._outside.connect(account.host, account.port, is_tls=account.is_tls))
        try:
            await self._accepted
        except BaseException:
            self._lose("given up")
            raise

    async def publish(self, topic: str, payload: bytes, qos: int) -> Outcome:
        """Delivered when acknowledged (QoS 1 and 2) or written to the connection (QoS 0)."""
        if unfit := self._unfit(topic, payload, qos):
            return Outcome(unfit, is_refusal=True)
        started_s = self.used_at_s = self._loop.time()
        answered: asyncio.Future[Outcome] = self._loop.create_future()
        packet_id = 0
        try:
            if qos:
                await self._place()
            if self.trouble is not None:
                return Outcome(self.trouble)
            packet_id = self._client.publish(topic, payload, qos).mid
            self._unanswered[packet_id] = answered
            if qos:
                self._unacknowledged.add(packet_id)
            return await answered
        except asyncio.CancelledError:
            self._note_given_up(started_s)
            raise
        finally:
            self._unanswered.pop(packet_id, None)

    def keep_alive(self) -> None:
        """To be called every second or so."""
        self._client.loop_misc()

    def close(self, why: str = "closed") -> None:
        """Says goodbye."""
        if self._descriptor is not None:
            self.trouble = why
            self._client.disconnect()
            self._client.loop_write()
        self._lose(why)

    async def _place(self) -> None:
        """Waits until the MQTT broker may get one more; the acknowledgement, however late, makes room for the next."""
        self._queued_count += 1
        try:
            await self._places.acquire()
        finally:
            self._queued_count -= 1

    def _make_client(self) -> _Publisher:
        account = self.account
        is_5 = account.version == MQTTProtocolVersion.MQTTv5
        client = _Publisher(
            CallbackAPIVersion.VERSION2,
            client_id=f"medina-{uuid4().hex[:16]}",
            clean_session=None if is_5 else True,
            protocol=account.version,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(0)  # Counted here, as the server may allow fewer than paho would send.
        if account.user is not None:
            client.username_pw_set(account.user, account.password)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = self._acknowledged
        client.on_socket_close = self._detach
        client.on_socket_register_write = self._want_write
        return client

    def _attach(self, connected: socket.socket) -> None:
        self._socket, self._descriptor = connected, connected.fileno()
        self._client.ready = connected
        self._loop.add_reader(self._descriptor, self._read)
        self._client.connect(self.account.host, self.account.port, KEEPALIVE_S)
        self._want_write()

    def _detach(self, *_: object) -> None:
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
        self._descriptor = None

    def _read(self) -> None:
        self._received_at_s = self._loop.time()
        try:
            self._client.loop_read()
            # TLS may have decrypted more than was asked for; the descriptor does not become readable for that.
            while self._descriptor is not None and isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
                self._client.loop_read()
        except Exception as exc:  # paho raises what it stumbles over in a packet
            self._lose(f"unreadable answer of the MQTT broker ({type(exc).__name__})")

    def _want_write(self, *_: object) -> None:
        """Writes once for everything that is asked for in this round of the loop."""
        if self._descriptor is not None and not self._is_write_due:
            self._is_write_due = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._is_write_due = False
        if self._descriptor is None:
            return
        self._client.loop_write()
        if self._descriptor is not None and self._client.want_write():
            self._loop.add_writer(self._descriptor, self._write)
        elif self._descriptor is not None:
            self._loop.remove_writer(self._descriptor)

    def _connected(
        self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            older = _OLDER_HINT if "protocol version" in str(reason).lower() else ""
            self._lose(f"the MQTT broker refused the connection: {reason}{older}")
            return
        if self.account.version == MQTTProtocolVersion.MQTTv5:
            self._places = asyncio.Semaphore(min(getattr(properties, "ReceiveMaximum", 65535), _UNACKNOWLEDGED_MAX))
            self._packet_bytes_max = getattr(properties, "MaximumPacketSize", None)
            self._qos_max = getattr(properties, "MaximumQoS", 2)
        self.trouble = None
        self._accepted.set_result(None)

    def _disconnected(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        told = f": {reason}" if flags.is_disconnect_packet_from_server else ""
        is_early = not self._accepted.done() and self.account.version == MQTTProtocolVersion.MQTTv5
        self._lose(f"the connection to the MQTT broker is lost{told}{_OLDER_HINT if is_early else ''}")

    def _acknowledged(
        self, client: Client, userdata: Any, packet_id: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if packet_id in self._unacknowledged:
            self._unacknowledged.discard(packet_id)
            self._places.release()
        answered = self._unanswered.get(packet_id)
        if answered is not None and not answered.done():
            if reason.is_failure:
                answered.set_result(
                    Outcome(f"the MQTT broker refused it: {reason}", is_refusal=str(reason) not in _LATER)
                )
            else:
                answered.set_result(DELIVERED)

    def _unfit(self, topic: str, payload: bytes, qos: int) -> str | None:
        """Why the MQTT broker would end the connection at this notification."""
        if qos > self._qos_max:
            return f"the MQTT broker takes no QoS above {self._qos_max}"
        size_bytes = len(payload) + len(topic.encode()) + _HEADER_BYTES
        if self._packet_bytes_max is not None and size_bytes > self._packet_bytes_max:
            return f"the MQTT broker takes no packet above {self._packet_bytes_max} bytes"
        return None

    def _note_given_up(self, started_s: float) -> None:
        """Who waited has no time left. A connection on which nothing at all came in meanwhile counts as dead."""
        if self._received_at_s < started_s and self._loop.time() - started_s >= _SILENT_S:
            self._lose("the MQTT broker was silent")

    def _lose(self, why: str) -> None:
        """Ends the connection and all that waits for it. What is not sent yet must not come later by this way."""
        self.trouble = why if self.trouble in (None, "not open yet") else self.trouble
        self._detach()
        if self._socket is not None:
            if self._socket.fileno() >= 0:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
                self._socket.close()
            self._socket = None
        if not self._accepted.done():
            self._accepted.set_exception(ConnectionError(why))
            self._accepted.exception()
        for answered in self._unanswered.values():
            if not answered.done():
                answered.set_result(Outcome(why))
        for _ in range(self._queued_count):
            self._places.release()
