"""An MQTT device that is told commands: listens on its topic, keeps what it hears, says what it is told to say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion


class MqttDevice:
    """One session at the MQTT broker."""

    def __init__(self, url: str, client_id: str, topic: str, *, clean: bool) -> None:
        self.heard: list[str] = []
        """Payloads, in order."""
        self._subscribed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._server = urlsplit(url)
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean)
        self._client.on_connect = lambda *_: self._client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: self._loop.call_soon_threadsafe(self._subscribed.set)
        self._client.on_message = self._receive

    def _receive(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self._loop.call_soon_threadsafe(self.heard.append, message.payload.decode())

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
