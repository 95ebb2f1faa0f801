"""Publishing commands, to brokers that know MQTT 5 and to one that does not."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agents.commands.publisher import MqttServer, Publisher
from broker.embedded import answers
from tests.contract.mqtt_device import mqtt_device
from tests.end_to_end.process import Process
from tests.waiting import until


@pytest.fixture
async def publisher(mqtt_url: str) -> AsyncIterator[Publisher]:
    server = urlsplit(mqtt_url)
    made = Publisher(MqttServer(server.hostname or "", server.port or 0), "publisher-under-test")
    yield made
    await made.close()


async def test_nobody_is_subscribed(publisher: Publisher) -> None:
    told = await publisher.publish("/nobody/there/cmd", b"x")
    assert (told.verdict, told.note) == ("later", "the device is not subscribed")


async def test_retained_for_whoever_comes(publisher: Publisher, mqtt_url: str) -> None:
    assert (await publisher.publish("/retained/there/cmd", b"x", retain=True)).verdict == "delivered"
    async with mqtt_device(mqtt_url, "/retained/there/cmd") as device:
        await until(lambda: device.heard == ["x"])
    await publisher.publish("/retained/there/cmd", b"", retain=True)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_qualities_of_service(publisher: Publisher, mqtt_url: str, qos: int) -> None:
    async with mqtt_device(mqtt_url, f"/qos{qos}/there/cmd") as device:
        assert (await publisher.publish(f"/qos{qos}/there/cmd", b"x", qos, command="c")).verdict == "delivered"
        await until(lambda: device.heard == ["x"])


async def test_topic_that_is_none(publisher: Publisher) -> None:
    assert (await publisher.publish("/a+b/#/cmd", b"x")).verdict == "refused"


async def test_no_broker_then_one_without_mqtt_5(free_port: Callable[[], int], tmp_path: Path) -> None:
    port = free_port()
    publisher = Publisher(MqttServer("127.0.0.1", port), "publisher-of-old")
    told = await publisher.publish("/k/d/cmd", b"x")
    assert told.verdict == "later"
    assert "Refused" in told.note
    command = [sys.executable, "-m", "broker.embedded_amqtt", str(port)]
    process = Process("amqtt", command, {}, tmp_path, lambda: answers(port))
    try:
        await asyncio.to_thread(process.start)
        async with mqtt_device(f"mqtt://127.0.0.1:{port}", "/k/d/cmd") as device:

            async def delivered() -> bool:
                return (await publisher.publish("/k/d/cmd", b"x")).verdict == "delivered"

            await until(delivered, every_s=0.2)
            await until(lambda: bool(device.heard))
    finally:
        await publisher.close()
        process.end()
