"""An MQTT device that is told commands: listens on its topic, keeps what it hears, says what it is told to say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode


class MqttDevice:
    """One session at the MQTT broker."""

    def __init__(self, url: str, client_id: str, topic: str, *, clean: bool) -> None:
        self.heard: list[str] = []
        """Payloads, in order."""
        self._subscribed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._server = urlsplit(url)
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean)
        self._topic = topic
        self.answer: Callable[[str], tuple[str, str] | None] = lambda payload: None
        """The topic and payload of the answer to a payload."""
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._listening
        self._client.on_message = self._receive

    def _connected(
        self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        client.subscribe(self._topic, 1)

    def _listening(
        self, client: Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _receive(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        payload = message.payload.decode()
        self._loop.call_soon_threadsafe(self.heard.append, payload)
        if (answer := self.answer(payload)) is not None:
            client.publish(*answer, qos=1)

    async def connect(self) -> None:
        """Return when it is subscribed."""
        await asyncio.to_thread(self._client.connect, self._server.hostname or "", self._server.port or 1883)
        self._client.loop_start()
        await asyncio.wait_for(self._subscribed.wait(), 10)

    async def leave(self) -> None:
        """Go away; a session that is kept stays at the MQTT broker."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)


@asynccontextmanager
async def mqtt_device(url: str, topic: str, client_id: str = "", *, clean: bool = True) -> AsyncIterator[MqttDevice]:
    """A device that listens on the topic while the block runs."""
    device = MqttDevice(url, client_id, topic, clean=clean)
    await device.connect()
    try:
        yield device
    finally:
        await device.leave()
