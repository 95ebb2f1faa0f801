"""Notifications over MQTT and MQTTS to real mosquittos (clause 7.2)."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import trustme
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broker.address_rule import address_rule
from broker.embedded import find_mosquitto, running_mosquitto
from broker.notify.transports.base import Destination
from broker.notify.transports.mqtt import MqttTransport
from broker.notify.transports.outside import Outside
from tests.broker.notify.conftest import StartNotifier
from tests.broker.notify.writer import Writer, created, entity, updated
from tests.waiting import until

pytestmark = [
    pytest.mark.clause("7.2"),
    pytest.mark.skipif(find_mosquitto() is None, reason="there is no mosquitto on this machine"),
]

BODY = b'{"id":"urn:n:1","data":[]}'
LINK = '<https://c.example/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
HEADERS = {"Content-Type": "application/json", "Link": LINK, "NGSILD-Tenant": "settat", "X-Pilot": "campus"}


class Listener:
    """What is published at an MQTT broker, in order: topic, message."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.is_subscribed = False
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=2)
        self._client.on_subscribe = self._subscribed
        self._client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, bytes(message.payload))
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribed(self, *_: object) -> None:
        self.is_subscribed = True


@contextmanager
def mosquitto(folder: Path, port: int, *lines: str) -> Iterator[None]:
    text = "\n".join([f"listener {port} 127.0.0.1", *lines, ""])
    if "allow_anonymous" not in text:
        text += "allow_anonymous true\n"
    folder.mkdir(exist_ok=True)
    with running_mosquitto(folder, text, port):
        yield


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[int]:
    """A mosquitto that takes few unacknowledged messages, no big packets, and nothing for the topic `refused`."""
    folder = tmp_path_factory.mktemp("mosquitto")
    (folder / "acl").write_text(
        "topic readwrite #\ntopic deny refused\nuser user\ntopic readwrite #\n", encoding="utf-8"
    )
    chosen = free_port()
    with mosquitto(folder, chosen, f"acl_file {folder / 'acl'}", "max_inflight_messages 5", "max_packet_size 100000"):
        yield chosen


@pytest.fixture
async def listener(port: int) -> AsyncIterator[Listener]:
    listening = Listener(port)
    await until(lambda: listening.is_subscribed)
    yield listening
    listening.close()


@pytest.fixture
async def transport() -> AsyncIterator[MqttTransport]:
    made = MqttTransport(Outside(address_rule("any")))
    yield made
    await made.close()


def to(uri: str, qos: int = 1, version: str = "mqtt5.0", timeout_s: float = 3.0) -> Destination:
    return Destination(uri, HEADERS, timeout_s, {"MQTT-QoS": str(qos), "MQTT-Version": version})


@pytest.mark.parametrize("version", ["mqtt3.1.1", "mqtt5.0"])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_notification_is_published_with_its_headers_as_metadata(
    transport: MqttTransport, port: int, listener: Listener, qos: int, version: str
) -> None:
    destination = to(f"mqtt://127.0.0.1:{port}/city/zone%201/{version}", qos, version)
    assert (await transport.send(destination, BODY)).error is None
    await until(lambda: bool(listener.messages))
    topic, message = listener.messages[0]
    assert topic == f"city/zone 1/{version}"
    assert orjson.loads(message) == {"metadata": HEADERS, "body": {"id": "urn:n:1", "data": []}}


async def test_nothing_chosen_means_version_5_and_qos_0(
    transport: MqttTransport, port: int, listener: Listener
) -> None:
    assert (await transport.send(Destination(f"mqtt://127.0.0.1:{port}/t", {}, 3.0), BODY)).is_delivered
    await until(lambda: bool(listener.messages))


@pytest.mark.parametrize("qos", [1, 2])
async def test_endpoints_share_a_connection_and_many_at_once_arrive_in_order(
    transport: MqttTransport, port: int, listener: Listener, qos: int
) -> None:
    """More than the MQTT broker takes unacknowledged: one more would make it end the connection."""
    uris = [f"mqtt://127.0.0.1:{port}/{topic}" for topic in "abc"]
    outcomes = await asyncio.gather(*(transport.send(to(uris[n % 3], qos), b"%d" % n) for n in range(300)))
    assert {outcome.error for outcome in outcomes} == {None}
    assert transport.connections_count == 1
    await until(lambda: len(listener.messages) == 300)
    assert [orjson.loads(message)["body"] for _, message in listener.messages] == list(range(300))


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_the_broker_refuses_is_a_failure_that_others_do_not_notice(
    transport: MqttTransport, port: int, qos: int
) -> None:
    outcome = await transport.send(to(f"mqtt://127.0.0.1:{port}/refused", qos), BODY)
    assert "Not authorized" in (outcome.error or "")
    assert outcome.is_refusal
    too_big = await transport.send(to(f"mqtt://127.0.0.1:{port}/t", qos), b'"' + b"x" * 100_000 + b'"')
    assert "no packet above 100000 bytes" in (too_big.error or "")
    assert too_big.is_refusal
    assert (await transport.send(to(f"mqtt://127.0.0.1:{port}/t", qos), BODY)).is_delivered
    assert transport.connections_count == 1


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    """A password file of mosquitto, with one account."""
    file = tmp_path / "passwords"
    file.write_text("ali:se/cret@\n", encoding="utf-8")
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True)
    return file


async def test_accounts(
    transport: MqttTransport, tmp_path: Path, passwords: Path, free_port: Callable[[], int]
) -> None:
    chosen = free_port()
    with mosquitto(tmp_path / "m", chosen, "allow_anonymous false", f"password_file {passwords}"):
        for version in ("mqtt3.1.1", "mqtt5.0"):
            right = f"mqtt://ali:se%2Fcret%40@127.0.0.1:{chosen}/t"
            assert (await transport.send(to(right, version=version), BODY)).error is None
            for account in ("ali:hush-hush@", "ali@", ""):
                outcome = await transport.send(to(f"mqtt://{account}127.0.0.1:{chosen}/t", version=version), BODY)
                assert "Not authorized" in (outcome.error or "")
                assert "hush" not in (outcome.error or "")


async def test_a_user_needs_no_password(transport: MqttTransport, port: int) -> None:
    for version in ("mqtt3.1.1", "mqtt5.0"):
        assert (await transport.send(to(f"mqtt://user@127.0.0.1:{port}/t", version=version), BODY)).error is None


async def test_a_lost_connection_is_made_again(
    transport: MqttTransport, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    chosen = free_port()
    destination = to(f"mqtt://127.0.0.1:{chosen}/t")
    for _ in range(2):
        with mosquitto(tmp_path / "m", chosen):
            assert (await transport.send(destination, BODY)).error is None
        outcome = await transport.send(destination, BODY)
        assert "no connection to the MQTT broker" in (outcome.error or "")
        assert f"127.0.0.1:{chosen}" in (outcome.error or "")


async def test_an_unused_connection_is_closed(port: int) -> None:
    transport = MqttTransport(Outside(address_rule("any")), idle_s=0.1)
    assert (await transport.send(to(f"mqtt://127.0.0.1:{port}/t"), BODY)).is_delivered
    await until(lambda: transport.connections_count == 0)
    assert (await transport.send(to(f"mqtt://127.0.0.1:{port}/t"), BODY)).is_delivered
    await transport.close()


async def test_dead_brokers_delay_nobody(transport: MqttTransport, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        uri = f"127.0.0.1:{silent.getsockname()[1]}/t"
        dead = [
            asyncio.create_task(transport.send(to(f"{scheme}://u{n}@{uri}", timeout_s=2.0), BODY))
            for n in range(50)
            for scheme in ("mqtt", "mqtts")
        ]
        await asyncio.sleep(0)
        assert (await transport.send(to(f"mqtt://127.0.0.1:{port}/t"), BODY)).is_delivered
        assert not any(task.done() for task in dead)
        errors = {outcome.error for outcome in await asyncio.gather(*dead)}
    assert len(errors) == 1
    assert "no connection to the MQTT broker" in (errors.pop() or "")


async def test_a_broker_that_falls_silent_is_connected_to_anew(
    transport: MqttTransport, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Accepted, then nothing: who waits gets a failure, the next attempt a new connection."""
    accepted: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        writer.write(b"\x20\x03\x00\x00\x00")
        await reader.read()

    async with await asyncio.start_server(accept, "127.0.0.1", chosen := free_port()):
        for count in (1, 2):
            outcome = await transport.send(to(f"mqtt://127.0.0.1:{chosen}/t", timeout_s=1.2), BODY)
            assert outcome.error == f"no acknowledgement by the MQTT broker 127.0.0.1:{chosen} within 1.2 s"
            assert len(accepted) == count
        await transport.close()
        for writer in accepted:
            writer.close()


@pytest.mark.parametrize("packet", [b"\x30\x04\x00\x01tx", b"\x40\xff\xff\xff\x7f", b"\xff\xff\xff\xff\xff\xff"])
async def test_a_broker_that_sends_what_it_should_not_is_left(
    transport: MqttTransport, free_port: Callable[[], int], packet: bytes
) -> None:
    """A message that nobody subscribed to, an acknowledgement of 256 MB, garbage."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x20\x03\x00\x00\x00" + packet + b"x" * 1000)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", chosen := free_port()):
        outcome = await transport.send(to(f"mqtt://127.0.0.1:{chosen}/t", timeout_s=1.0), BODY)
        assert "connection to the MQTT broker is lost" in (outcome.error or "")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x02\x00\x01", b"\x20\x7f", b""])
async def test_what_is_no_mqtt_5_broker_is_a_failure(
    transport: MqttTransport, free_port: Callable[[], int], answer: bytes
) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", chosen := free_port()):
        outcome = await transport.send(to(f"mqtt://127.0.0.1:{chosen}/t", timeout_s=1.0), BODY)
    assert "no connection to the MQTT broker" in (outcome.error or "")


@pytest.mark.parametrize("uri", ["mqtt://h.invalid/t", "mqtt://127.0.0.1:99999/t", "mqtt://127.0.0.1", "mqtt://[::1/t"])
async def test_an_address_that_cannot_be_used_is_a_failure(transport: MqttTransport, uri: str) -> None:
    assert not (await transport.send(to(uri), BODY)).is_delivered


async def test_mqtts_checks_the_certificate(tmp_path: Path, free_port: Callable[[], int]) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    chosen = free_port()
    with mosquitto(tmp_path / "m", chosen, f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.pem"):
        trusting = MqttTransport(Outside(address_rule("any"), str(tmp_path / "ca.pem")))
        for qos in (0, 1, 2):
            destination = to(f"mqtts://localhost:{chosen}/t", qos)
            big = b'"' + b"x" * 1_000_000 + b'"'
            assert [(await trusting.send(destination, body)).error for body in (BODY, big, BODY)] == [None] * 3
        assert trusting.connections_count == 1
        wrong_name = await trusting.send(to(f"mqtts://127.0.0.1:{chosen}/t"), BODY)
        assert "certificate" in (wrong_name.error or "").lower()
        await trusting.close()
        strict = MqttTransport(Outside(address_rule("any")))
        unknown = await strict.send(to(f"mqtts://localhost:{chosen}/t"), BODY)
        assert "certificate" in (unknown.error or "").lower()
        await strict.close()


async def test_addresses_that_are_not_permitted_are_not_connected_to(free_port: Callable[[], int]) -> None:
    transport = MqttTransport(Outside(address_rule("public")))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
            outcome = await transport.send(to(f"mqtt://{host}:{server.getsockname()[1]}/t", timeout_s=1.0), BODY)
            assert "permitted address" in (outcome.error or "")
        with pytest.raises(BlockingIOError):
            server.accept()
    await transport.close()


async def test_nothing_is_lost_while_the_mqtt_broker_is_away(
    writer: Writer, start_notifier: StartNotifier, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    await start_notifier()
    chosen = free_port()
    quality = [{"key": "MQTT-QoS", "value": "1"}]
    await writer.subscribe("urn:s:1", f"mqtt://127.0.0.1:{chosen}/rooms", endpoint={"notifierInfo": quality})
    state, changes = created(entity("urn:ngsi-ld:Room:1", temperature=0))
    await writer.write((state, changes))
    for value in range(1, 4):
        state, change = updated(state, f"r{value}", temperature=value)
        await writer.write((state, [change]))
    assert await until(lambda: _failures(writer))
    with mosquitto(tmp_path / "m", chosen):
        # What is published before somebody listens is kept by nobody: the notifier's own counters tell of it.
        state, change = updated(state, "r4", temperature=4)
        await writer.write((state, [change]))
        assert await until(lambda: _successes(writer, 5))
        listening = Listener(chosen)
        await until(lambda: listening.is_subscribed)
        for value in range(5, 8):
            state, change = updated(state, f"r{value}", temperature=value)
            await writer.write((state, [change]))
        await until(lambda: _values(listening) == [5, 6, 7])
        listening.close()


async def _successes(writer: Writer, count: int) -> bool:
    counters = await writer.counters("urn:s:1")
    return bool(counters["timesSent"] - counters["timesFailed"] >= count)


async def _failures(writer: Writer) -> bool:
    return bool((await writer.counters("urn:s:1")).get("timesFailed"))


def _values(listening: Listener) -> list[int]:
    """The temperatures in the order of their arrival."""
    return [orjson.loads(message)["body"]["data"][0]["temperature"]["value"] for _, message in listening.messages]
