"""The agent between a real MQTT broker and a real HTTP server."""

import asyncio
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from agents.agent import Agent
from agents.errors import MeasureError
from agents.pseudonyms import Pseudonyms
from agents.settings import Settings
from broker.embedded import answers, mqtt_command
from tests.agents.corpus import CASES, DEVICE_FILES, ROUTER, Case, new_converter
from tests.agents.receiver import Batch, Receiver, listening, problem
from tests.end_to_end.city import is_ready
from tests.end_to_end.device import publish
from tests.end_to_end.process import Process
from tests.waiting import until, until_sync

OPEN = "/json/open/{}/attrs"
KEY = "key of the agent tests"
_client_ids = (f"agent-{number}" for number in itertools.count())


def settings(mqtt_url: str, broker_url: str, **changes: Any) -> Settings:
    chosen: dict[str, Any] = {
        "mqtt_url": mqtt_url,
        "broker_url": broker_url,
        "mqtt_client_id": next(_client_ids),
        "devices": ":".join(map(str, DEVICE_FILES)),
        "pseudonym_key": KEY,
        "agent_port": 0,
        "south_port": 0,
        "mongodb_uri": "",
    }
    return Settings(**(chosen | changes))


@asynccontextmanager
async def running(chosen: Settings) -> AsyncIterator[Agent]:
    """An agent that is connected, and stopped at the end as by SIGTERM."""
    agent, stop = Agent(chosen), asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    try:
        await until(lambda: task.done() or agent.is_connected, within_s=10)
        yield agent
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def send(mqtt_url: str, *messages: tuple[str, bytes]) -> None:
    await asyncio.to_thread(publish, mqtt_url, messages)


def measures(device: str, *numbers: int) -> list[tuple[str, bytes]]:
    return [(OPEN.format(device), b'{"n":%d}' % number) for number in numbers]


def first_occurrences(values: list[int]) -> list[int]:
    return list(dict.fromkeys(values))


async def ops(agent: Agent, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{agent.port}{path}") as response:
        text = await response.text()
        return response.status, json.loads(text) if "json" in response.headers["Content-Type"] else text


TIMES = frozenset({"dateObserved", "dateIssued", "receivedAt"})


def timeless(entities: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What is said of each entity, one after the other, without what depends on the time of reception."""
    said: dict[str, list[dict[str, Any]]] = {}
    for entity in entities:
        known = {name: item for name, item in entity.items() if name not in TIMES}
        values = {name: item.get("value", item.get("object")) for name, item in known.items() if isinstance(item, dict)}
        said.setdefault(entity["id"], []).append(values | {"dateLastValueReported": "dateLastValueReported" in entity})
    return said


async def counts(agent: Agent, lines: Iterable[str]) -> bool:
    """Whether the metrics of an agent have these lines."""
    _, text = await ops(agent, "/metrics")
    return set(lines) <= set(text.splitlines())


async def test_corpus_arrives_as_entities_in_its_order(mqtt_url: str, receiver: Receiver) -> None:
    converter = new_converter(Pseudonyms(KEY.encode()))
    sent: list[Case] = []
    keys: set[str] = set()
    entities: list[dict[str, Any]] = []
    ignored = converter.ignored
    told: Counter[str] = Counter()
    for case in CASES:
        if ROUTER.at_path(case.topic) is not None:
            continue  # comes over HTTP
        try:
            made = converter.convert(case.topic, case.payload, datetime.now(UTC))
        except MeasureError as error:
            told[error.reason] += 1
        else:
            if not keys.isdisjoint(made.keys):
                continue  # a copy, by its key, of another case
            keys.update(made.keys)
            entities += [json.loads(fragment.body) for fragment in made.fragments]
            told.update(remark.reason for remark in made.remarks)
        sent.append(case)
    async with running(settings(mqtt_url, receiver.url, rejected_count=1000)) as agent:
        await send(mqtt_url, *((case.topic, case.payload) for case in sent))
        await until(lambda: len(receiver.committed) >= len(entities))
        await until(lambda: Counter(rejection.reason for rejection in agent.rejections.latest()) == told)
        again = next(case for case in sent if case.name == "uhppoted/valid/second-door")
        await send(mqtt_url, (again.topic, again.payload))
        counted = ['medina_agent_copies_total{profile="uhppoted"} 1.0']
        counted += [f'medina_agent_ignored_total{{profile="{each}"}} {count}.0' for each, count in ignored.items()]
        await until(lambda: counts(agent, counted))
        assert (await ops(agent, "/devices?device=gate-controller"))[1] == [], "a Shelly that is none"
    assert timeless(receiver.committed) == timeless(entities)


async def test_measures_of_a_device_stay_in_order_within_and_across_batches(mqtt_url: str, receiver: Receiver) -> None:
    async with running(settings(mqtt_url, receiver.url)):
        receiver.open.clear()
        await send(mqtt_url, *measures("order-a", 0))
        await until(lambda: receiver.asked)
        both = zip(measures("order-a", *range(1, 50)), measures("order-b", *range(1, 50)), strict=True)
        await send(mqtt_url, *(message for pair in both for message in pair))
        receiver.open.set()
        await until(lambda: len(receiver.committed) == 99)
    assert receiver.values("n", "urn:ngsi-ld:Pump:order-a") == list(range(50))
    assert receiver.values("n", "urn:ngsi-ld:Pump:order-b") == list(range(1, 50))
    assert len(receiver.asked) < 20, "what comes while a batch is under way goes in one batch"


async def test_message_is_acknowledged_only_after_the_commit(mqtt_url: str, receiver: Receiver) -> None:
    chosen = settings(mqtt_url, receiver.url)
    async with running(chosen):
        receiver.open.clear()
        await send(mqtt_url, *measures("ack", 1, 2))
        await until(lambda: receiver.asked)
    assert receiver.committed == []
    receiver.open.set()
    async with running(chosen):
        await until(lambda: first_occurrences(receiver.values("n", "urn:ngsi-ld:Pump:ack")) == [1, 2])
    seen = len(receiver.asked)
    async with running(chosen):
        await send(mqtt_url, *measures("ack", 3))
        await until(lambda: 3 in receiver.values("n"))
    assert [entity["n"]["value"] for batch in receiver.asked[seen:] for entity in batch] == [3], "2 was acknowledged"


async def test_a_value_sent_again_is_no_repetition_by_the_mqtt_broker(mqtt_url: str, receiver: Receiver) -> None:
    """What waited when the connection was lost is delivered again, and says what has been said before."""
    chosen = settings(mqtt_url, receiver.url)
    async with running(chosen) as agent:
        await send(mqtt_url, *measures("constant", 1))
        await until(lambda: receiver.values("n") == [1])
        receiver.open.clear()
        await send(mqtt_url, *measures("other", 2))
        await until(lambda: len(receiver.asked) == 2)
        await send(mqtt_url, *measures("constant", 1))
        await until(lambda: agent.waiting_count == 1)
        await asyncio.to_thread(take_over, mqtt_url, chosen.mqtt_client_id)
        await until(lambda: counts(agent, ["medina_agent_mqtt_connections_total 2.0"]))
        receiver.open.set()
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:constant") == [1, 1])
        assert receiver.values("n", "urn:ngsi-ld:Pump:other") == [2]


def take_over(url: str, client_id: str) -> None:
    """Connect with an agent's client id, which ends its connection, and leave, without an acknowledgement."""
    server = urlsplit(url)
    client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False, manual_ack=True)
    client.connect(server.hostname or "", server.port or 0)
    until_sync(lambda: client.loop(0.01) == MQTTErrorCode.MQTT_ERR_SUCCESS and client.is_connected())
    client.disconnect()


async def test_messages_of_the_time_without_an_agent_arrive(mqtt_url: str, receiver: Receiver) -> None:
    chosen = settings(mqtt_url, receiver.url)
    async with running(chosen):
        pass
    await send(mqtt_url, *measures("absent", *range(30)))
    async with running(chosen):
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:absent") == list(range(30)))


async def test_context_broker_away_for_a_while(mqtt_url: str, free_port: Callable[[], int]) -> None:
    port = free_port()
    async with running(settings(mqtt_url, f"http://127.0.0.1:{port}")) as agent:
        await send(mqtt_url, *measures("away", *range(100)))
        await until(lambda: agent.metrics.retries.labels("no-answer")._value.get() > 2)
        status, answer = await ops(agent, "/ready")
        assert (status, answer["ready"], answer["checks"]["mqtt"]) == (503, False, "ok")
        assert answer["checks"]["broker"] != "ok"
        async with listening(Receiver(), port) as receiver:
            await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:away") == list(range(100)), within_s=10)
            assert (await ops(agent, "/ready"))[0] == 200


@pytest.mark.parametrize(
    "poison",
    [
        b"not json",
        b'{"n": 1',
        b"\xff\xfe",
        b"[" * 3000,
        b'{"n":' + b"[" * 400 + b"]" * 400 + b"}",
        b'{"n": "' + b"x" * 1_100_000 + b'"}',
        b"{}",
        b'{"forbidden": 1}',
    ],
    ids=["text", "truncated", "no-utf-8", "brackets", "deep", "over-1-MB", "empty", "refused-by-the-broker"],
)
async def test_poison_between_two_good_messages(mqtt_url: str, receiver: Receiver, poison: bytes) -> None:
    def answer(batch: Batch) -> web.Response | None:
        return problem(400) if any("forbidden" in entity for entity in batch) else None

    receiver.answer = answer
    async with running(settings(mqtt_url, receiver.url)) as agent:
        receiver.open.clear()
        await send(mqtt_url, *measures("first", 0))
        await until(lambda: receiver.asked)
        await send(mqtt_url, *measures("good", 1), (OPEN.format("good"), poison), *measures("good", 2))
        receiver.open.set()
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:good") == [1, 2])
        await until(lambda: len(agent.rejections.latest()) == 1)
        _, (shown,) = await ops(agent, "/rejected")
        assert shown["topic"] == OPEN.format("good")
        assert len(shown["payload"]) < 300
        assert shown["reason"] in (await ops(agent, "/metrics"))[1]


async def test_rejected_messages_are_bounded(mqtt_url: str, receiver: Receiver) -> None:
    async with running(settings(mqtt_url, receiver.url, rejected_count=5)) as agent:
        await send(mqtt_url, *((OPEN.format("x"), b"?%d" % number) for number in range(20)), *measures("x", 1))
        await until(lambda: receiver.committed)
        assert [rejection.payload for rejection in agent.rejections.latest()] == ["?19", "?18", "?17", "?16", "?15"]
        metrics = (await ops(agent, "/metrics"))[1]
        assert 'medina_agent_rejected_total{reason="not-json"} 20.0' in metrics


async def test_reading_stops_when_too_much_waits_and_goes_on(mqtt_url: str, receiver: Receiver) -> None:
    async with running(settings(mqtt_url, receiver.url, waiting_count=20)) as agent:
        receiver.open.clear()
        await send(mqtt_url, *measures("much", *range(600)))
        await until(lambda: receiver.asked)
        assert agent.waiting_count < 200
        receiver.open.set()
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:much") == list(range(600)), within_s=10)


async def test_an_idle_agent_passes_on_at_once(mqtt_url: str, receiver: Receiver) -> None:
    loop = asyncio.get_running_loop()
    async with running(settings(mqtt_url, receiver.url)):
        await send(mqtt_url, *measures("warm", 1))
        await until(lambda: receiver.committed)
        started = loop.time()
        await send(mqtt_url, *measures("idle", *range(20)))
        await until(lambda: len(receiver.committed) == 21, every_s=0.001)
        assert loop.time() - started < 1.0


@pytest.fixture
def own_mqtt(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Process]:
    """An MQTT broker that can be restarted; its URL is in `environment`."""
    port = free_port()
    process = Process("mqtt", mqtt_command(tmp_path / "mqtt", port), {}, tmp_path, lambda: answers(port))
    process.url = f"mqtt://127.0.0.1:{port}"  # type: ignore[attr-defined]
    process.start()
    yield process
    process.end()


async def test_mqtt_broker_restarts(own_mqtt: Process, receiver: Receiver) -> None:
    url: str = own_mqtt.url  # type: ignore[attr-defined]
    async with running(settings(url, receiver.url)) as agent:
        await send(url, *measures("restart", *range(20)))
        await until(lambda: len(receiver.committed) == 20)
        receiver.open.clear()
        await send(url, *measures("restart", *range(20, 30)))
        await until(lambda: len(receiver.asked[-1]) and receiver.asked[-1][-1]["n"]["value"] >= 20)
        await asyncio.to_thread(own_mqtt.stop)
        await until(lambda: not agent.is_connected)
        assert (await ops(agent, "/ready"))[0] == 503
        receiver.open.set()
        await asyncio.to_thread(own_mqtt.start)
        await until(lambda: agent.is_connected, within_s=10)
        await send(url, *measures("restart", *range(30, 40)))
        await until(lambda: first_occurrences(receiver.values("n")) == list(range(40)), within_s=10)


def command_environment(mqtt_url: str, receiver_url: str, port: int) -> dict[str, str]:
    return {
        "MQTT_URL": mqtt_url,
        "MEDINA_BROKER_URL": receiver_url,
        "MEDINA_DEVICES": ":".join(map(str, DEVICE_FILES)),
        "MEDINA_PSEUDONYM_KEY": KEY,
        "MEDINA_MQTT_CLIENT_ID": next(_client_ids),
        "MEDINA_AGENT_PORT": str(port),
        "MEDINA_SOUTH_PORT": "0",
        "MONGODB_URI": "",
    }


COMMAND = [sys.executable, "-m", "agents.cli"]


async def test_killed_agent_loses_nothing(
    mqtt_url: str, receiver: Receiver, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    environment = command_environment(mqtt_url, receiver.url, port)
    agent = Process("agent", COMMAND, environment, tmp_path, lambda: is_ready(port))
    try:
        await asyncio.to_thread(agent.start)
        await send(mqtt_url, *measures("kill", 0))
        await until(lambda: receiver.committed)
        sending = asyncio.create_task(send(mqtt_url, *measures("kill", *range(1, 3000))))
        await until(lambda: len(receiver.committed) > 300, within_s=10)
        await asyncio.to_thread(agent.kill)
        await sending
        await asyncio.to_thread(agent.start)
        await until(lambda: first_occurrences(receiver.values("n")) == list(range(3000)), within_s=20)
        assert await asyncio.to_thread(agent.stop) == 0
        assert "Traceback" not in agent.log.read_text(encoding="utf-8")
    finally:
        agent.end()


def test_stops_cleanly_while_nothing_answers(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    nowhere = (f"mqtt://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}")
    agent = Process("agent", COMMAND, command_environment(*nowhere, port), tmp_path, lambda: answers(port))
    try:
        agent.start()
        until_sync(lambda: "no connection to the MQTT broker" in agent.log.read_text(encoding="utf-8"))
        assert agent.stop() == 0
        assert "Traceback" not in agent.log.read_text(encoding="utf-8")
    finally:
        agent.end()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"MEDINA_DEVICES": ""}, "There is nowhere to know devices from: MEDINA_DEVICES names no device file"),
        ({"MEDINA_DEVICES": "/nowhere/devices.toml"}, "/nowhere/devices.toml: there is no such file"),
        ({"MEDINA_PSEUDONYM_KEY": ""}, "set MEDINA_PSEUDONYM_KEY or MEDINA_PSEUDONYM_KEY_FILE"),
        ({"MEDINA_PSEUDONYM_KEY": "short"}, "shorter than 16 bytes"),
        ({"MQTT_URL": "localhost"}, "MQTT_URL: write it as mqtt://"),
        ({"MEDINA_BROKER_URL": "localhost:1026"}, "MEDINA_BROKER_URL: write it as http://"),
        ({"MEDINA_AGENT_PORT": "many"}, "MEDINA_AGENT_PORT: Input should be a valid integer"),
        ({"MEDINA_HOST": "192.0.2.1"}, "set MEDINA_AGENT_PORT or MEDINA_HOST"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_mistakes_of_the_operator_end_with_one_message(
    change: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = command_environment("mqtt://127.0.0.1:1883", "http://127.0.0.1:1026", 0) | change
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = subprocess.run(COMMAND, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
