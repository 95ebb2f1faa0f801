"""The way to the MQTT broker: QoS 1, a bounded number of messages unacknowledged, errors an operator understands."""

import threading
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pilots.errors import BadSettings, MqttUnavailable

CONNECT_TIMEOUT_S: Final = 5.0
ACKNOWLEDGE_TIMEOUT_S: Final = 30.0
MOST_UNACKNOWLEDGED: Final = 200
DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


class MqttOutlet:
    """Publishes in order; `drain` returns once the broker has acknowledged everything. A context manager."""

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self._shown = f"{self._url.scheme}://{self._url.hostname}:{self._port}"
        self._unacknowledged = 0
        self._changed = threading.Condition()
        self._connection: ReasonCode | None = None
        self._closed = False
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.max_inflight_messages_set(MOST_UNACKNOWLEDGED)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._acknowledged

    @property
    def _port(self) -> int:
        return self._url.port or DEFAULT_PORTS[self._url.scheme]

    def __enter__(self) -> "MqttOutlet":
        """Connect; raises MqttUnavailable when nobody answers or the broker refuses."""
        if self._url.scheme == "mqtts":
            self._client.tls_set()
        if self._url.username is not None:
            password = self._url.password
            self._client.username_pw_set(unquote(self._url.username), unquote(password) if password else None)
        try:
            self._client.connect(self._url.hostname or "127.0.0.1", self._port)
        except OSError as error:
            raise MqttUnavailable(
                f"There is no MQTT broker at {self._shown} ({error}). Start one (`medina up`) or set MQTT_URL."
            ) from error
        self._client.loop_start()
        try:
            self._await_connection()
        except MqttUnavailable:
            self._client.loop_stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _await_connection(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._connection is not None or self._closed, CONNECT_TIMEOUT_S)
            if self._connection is None:
                raise MqttUnavailable(f"{self._shown} accepts connections but does not answer as an MQTT broker.")
            if self._connection.is_failure:
                raise MqttUnavailable(
                    f"The MQTT broker at {self._shown} refuses the connection: {self._connection}. "
                    "Check user and password in MQTT_URL (mqtt://user:password@host:port)."
                )

    def publish(self, topic: str, payload: bytes) -> None:
        """Send one message at QoS 1, after waiting for room; raises MqttUnavailable if acknowledgements stop coming."""
        self._await_at_most(MOST_UNACKNOWLEDGED - 1, ACKNOWLEDGE_TIMEOUT_S)
        with self._changed:
            self._unacknowledged += 1
        outcome = self._client.publish(topic, payload, qos=1).rc
        # Without a connection paho keeps the message and sends it after reconnecting.
        if outcome not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise MqttUnavailable(f"The MQTT client at {self._shown} does not accept messages: {outcome.name}.")

    def drain(self, timeout_s: float = ACKNOWLEDGE_TIMEOUT_S) -> None:
        """Wait until everything published is acknowledged; raises MqttUnavailable."""
        self._await_at_most(0, timeout_s)

    def _await_at_most(self, most: int, timeout_s: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._unacknowledged <= most, timeout_s):
                raise MqttUnavailable(
                    f"The MQTT broker at {self._shown} has not acknowledged {self._unacknowledged} messages "
                    f"within {timeout_s:.0f} s."
                )

    def _connected(
        self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        with self._changed:
            self._connection = reason
            self._changed.notify_all()

    def _disconnected(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _acknowledged(
        self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties
    ) -> None:
        with self._changed:
            self._unacknowledged -= 1
            self._changed.notify_all()


def _checked(url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        valid = parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise BadSettings("MQTT_URL must look like mqtt://[user:password@]host:port (or mqtts://…).")
    return parts
