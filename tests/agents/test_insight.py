"""Who speaks, what passes, what was rejected and replayed: over the API of port 4041 and its commands."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
from structlog.testing import capture_logs
from typer.testing import CliRunner

from agents.agent import Agent
from agents.cli import agent as commands
from agents.errors import UnknownDevice
from agents.metrics import Metrics
from agents.rejections import Rejections
from agents.storage.mongo_connection import MongoConnection
from agents.storage.mongo_rejections import MongoRejections
from tests.agents.corpus import PSEUDONYMS
from tests.agents.receiver import Receiver
from tests.agents.test_agent import OPEN, measures, ops, running, send, settings
from tests.waiting import until

GROUP = {"groups": [{"resource": "/iot/json", "apikey": "late", "entity_type": "Pump"}]}


async def post(agent: Agent, path: str, body: Any) -> tuple[int, Any]:
    headers = {"fiware-service": "test", "fiware-servicepath": "/"}
    url = f"http://127.0.0.1:{agent.port}{path}"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as response:
        return response.status, await response.json()


async def command(agent: Agent, *words: str) -> str:
    arguments = [*words, "--url", f"http://127.0.0.1:{agent.port}"]
    result = await asyncio.to_thread(CliRunner().invoke, commands, arguments, env={"COLUMNS": "250"})
    assert result.exit_code == 0, result.output
    return result.output


async def test_who_speaks_and_who_is_unknown(mqtt_url: str, receiver: Receiver) -> None:
    async with running(settings(mqtt_url, receiver.url)) as agent:
        await send(mqtt_url, *measures("seen", 1, 2), ("/json/nobody/strange-1/attrs", b'{"t": 1}'))
        await until(lambda: len(agent.rejections.latest()) == 1)
        status, told = await ops(agent, "/devices")
        strange, seen = sorted(told, key=lambda one: str(one["device"]), reverse=True)
        assert (status, strange["device"], seen["device"], seen["messages"]) == (200, "strange-1", "seen", 2)
        assert (seen["lastPayload"], "lastError" in seen, "provision" in seen) == ('{"n":2}', False, False)
        assert strange["lastError"]["reason"] == "unknown-device"
        assert '"device_id":"strange-1","apikey":"nobody"' in strange["provision"]
        assert [one["device"] for one in (await ops(agent, "/devices?unknown=true"))[1]] == ["strange-1"]
        shown = await command(agent, "devices")
        assert "strange-1" in shown
        assert f"curl -X POST http://127.0.0.1:{agent.port}/iot/devices" in shown


async def test_messages_are_seen_as_they_pass(mqtt_url: str, receiver: Receiver) -> None:
    async with running(settings(mqtt_url, receiver.url)) as agent:
        url = f"http://127.0.0.1:{agent.port}/tail"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert await response.content.readline() == b"\n"
            await send(mqtt_url, *measures("tailed", 7), (OPEN.format("tailed"), b"?"))
            first = await response.content.readline()
            second = await response.content.readline()
        assert b'"outcome":"stored"' in first
        assert b"urn:ngsi-ld:Pump:tailed" in first
        assert b'"outcome":"not-json"' in second


async def test_rejected_messages_are_stored_when_the_device_is_known(
    mongo: str, mqtt_url: str, receiver: Receiver
) -> None:
    chosen = settings(mqtt_url, receiver.url, mongodb_uri=mongo, database="replays")
    async with running(chosen) as agent:
        messages = [("/json/late/pump-1/attrs", b'{"n": %d}' % number) for number in range(3)]
        await send(mqtt_url, *messages, ("/json/late/pump-1/attrs", b"?"))
        await until(lambda: len(agent.rejections.latest()) == 4)
        _, rejected = await ops(agent, "/rejected?reason=unknown-device")
        assert [one["payload"] for one in rejected] == ['{"n": 2}', '{"n": 1}', '{"n": 0}']
    async with running(chosen) as agent:  # they outlive the process
        assert (await post(agent, "/iot/groups", GROUP))[0] == 201
        shown = await command(agent, "rejected")
        assert "pump-1" in shown
        told = await command(agent, "replay", "--topic", "/json/late/pump-1/attrs")
        assert told.endswith("stored 3, rejected again 1, payload not kept 0\n")
        assert receiver.values("n", "urn:ngsi-ld:Pump:pump-1") == [0, 1, 2]
        assert [one["reason"] for one in (await ops(agent, "/rejected"))[1]] == ["not-json"]
        told = await command(agent, "replay", rejected[0]["id"])
        assert told.endswith("stored 0, rejected again 0, payload not kept 0\n")


async def test_replay_needs_mongodb(mqtt_url: str, receiver: Receiver) -> None:
    async with running(settings(mqtt_url, receiver.url)) as agent:
        assert (await post(agent, "/rejected/replay", {}))[0] == 503


async def test_who_lists_rejections_waits_for_those_that_are_being_written(mongo: str) -> None:
    connection = MongoConnection(mongo, "written", 5)
    try:
        rejections = Rejections(10, PSEUDONYMS, Metrics(), MongoRejections(connection, 100))
        rejections.add(UnknownDevice("device 1 is unknown", "k", "1"), "t", b"{}", None, datetime.now(UTC))
        listed = await asyncio.gather(*(rejections.listed(10, {}) for _ in range(5)))
        assert [len(each) for each in listed] == [1] * 5
    finally:
        await connection.close()


def refuse(rejections: Rejections, topic: str) -> None:
    rejections.add(UnknownDevice("device 1 is unknown", "k", "1"), topic, b"{}", None, datetime.now(UTC))


async def test_rejections_outlive_a_reader_who_goes_away_while_mongodb_is(free_port: Callable[[], int]) -> None:
    connection = MongoConnection(f"mongodb://127.0.0.1:{free_port()}/?replicaSet=medina", "outlive", 20)
    try:
        rejections = Rejections(10, PSEUDONYMS, Metrics(), MongoRejections(connection, 100))
        refuse(rejections, "first")
        reading = asyncio.create_task(rejections.listed(10, {}))
        await until(lambda: not rejections._pending)
        refuse(rejections, "second")
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert [each.topic for each in rejections._pending] == ["first", "second"]
    finally:
        await connection.close()


async def test_rejections_of_the_last_second_are_written_at_the_end(mongo: str) -> None:
    connection = MongoConnection(mongo, "flushed", 5)
    try:
        kept = MongoRejections(connection, 100)
        rejections = Rejections(10, PSEUDONYMS, Metrics(), kept)
        refuse(rejections, "last")
        await rejections.flush()
        assert [each.topic for each in await kept.latest(10)] == ["last"]
    finally:
        await connection.close()


def test_a_fleet_that_nobody_knows_does_not_fill_the_log() -> None:
    rejections = Rejections(1000, PSEUDONYMS, Metrics())
    with capture_logs() as logged:
        for number in range(500):
            error = UnknownDevice(f"device {number} is unknown", "k", str(number))
            rejections.add(error, "t", b"{}", None, datetime.fromtimestamp(number // 250, UTC))
    assert [line["event"] for line in logged].count("message rejected") == 40
    assert [line["count"] for line in logged if line["event"] == "further messages rejected"] == [230]
    assert len(rejections.latest()) == 500
