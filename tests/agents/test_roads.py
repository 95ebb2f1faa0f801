"""The roads to the MQTT broker (MQTT 5, TLS with certificates), a flood on them, and devices that fall silent."""

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from paho.mqtt import publish as paho

from agents.errors import ConfigurationError
from agents.metrics import Metrics
from agents.mqtt import Southbound
from agents.mqtt_link import Address
from agents.mqtt_trouble import not_connected
from agents.settings import Settings
from broker.embedded import find_mosquitto, running_mosquitto
from tests.agents.receiver import Receiver
from tests.agents.test_agent import first_occurrences, measures, ops, running, send, settings
from tests.waiting import until

SECURE = """
listener {port} 127.0.0.1
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
allow_anonymous false
"""


async def test_mqtt_5_resumes_its_session(mqtt_url: str, receiver: Receiver) -> None:
    if find_mosquitto() is None:
        pytest.skip("amqtt knows no MQTT 5")
    chosen = settings(mqtt_url, receiver.url, mqtt_version="5", mqtt_receive_maximum=5)
    async with running(chosen):
        await send(mqtt_url, *measures("five", *range(20)))
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:five") == list(range(20)))
    await send(mqtt_url, *measures("five", *range(20, 40)))
    async with running(chosen):
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:five") == list(range(40)))


@pytest.fixture
def secure(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[dict[str, Any]]:
    """Settings for a mosquitto that wants certificates."""
    if find_mosquitto() is None:
        pytest.skip("no mosquitto")
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, certificate in (
        ("server", authority.issue_cert("127.0.0.1")),
        ("client", authority.issue_cert(common_name="agent")),
    ):
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    (tmp_path / "mqtt").mkdir()
    with running_mosquitto(tmp_path / "mqtt", SECURE.format(port=port, folder=tmp_path), port):
        yield {
            "mqtt_url": f"mqtts://127.0.0.1:{port}",
            "mqtt_ca_file": tmp_path / "ca.pem",
            "mqtt_cert_file": tmp_path / "client.pem",
            "mqtt_key_file": tmp_path / "client.key",
        }


async def test_tls_with_the_certificate_of_the_client(secure: dict[str, Any], receiver: Receiver) -> None:
    chosen = settings(broker_url=receiver.url, **secure)
    port = int(str(secure["mqtt_url"]).rpartition(":")[2])
    names = {"ca_certs": "mqtt_ca_file", "certfile": "mqtt_cert_file", "keyfile": "mqtt_key_file"}
    certificates: Any = {name: str(secure[setting]) for name, setting in names.items()}
    messages: Any = [(topic, payload, 1, False) for topic, payload in measures("tls", *range(300))]
    async with running(chosen):
        await asyncio.to_thread(paho.multiple, messages, hostname="127.0.0.1", port=port, tls=certificates)
        await until(lambda: first_occurrences(receiver.values("n")) == list(range(300)))


# paho-mqtt leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mqtt_ca_file": None}, "certificate is not trusted .* MEDINA_MQTT_CA_FILE"),
        (
            {"mqtt_cert_file": None, "mqtt_key_file": None},
            "perhaps it wants another certificate .MEDINA_MQTT_CERT",
        ),
        ({"mqtt_url": "mqtt"}, "perhaps the port is one for TLS"),
        ({"mqtt_url": "mqtts://localhost"}, "MQTT_URL the host that it is for"),
    ],
    ids=["authority", "client", "plain", "name"],
)
async def test_what_is_wrong_with_the_road_is_told(secure: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    port = str(secure["mqtt_url"]).rpartition(":")[2]
    if "mqtt_url" in changes:
        changes = {
            "mqtt_url": {"mqtt": f"mqtt://127.0.0.1:{port}"}.get(changes["mqtt_url"], f"mqtts://localhost:{port}")
        }
    chosen = settings(broker_url="http://127.0.0.1:9", **(secure | changes))
    session = Southbound(chosen.link(), "road", ["a/b"], Metrics())
    connecting = asyncio.create_task(session.run(lambda *_: None, lambda _: None, at_once))
    await until(lambda: re.search(said, session.trouble or ""))
    session.close()
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)


async def at_once() -> None:
    """Nobody has to be asked before a connection is made."""


async def test_a_password_that_is_wrong_is_told(tmp_path: Path, free_port: Callable[[], int]) -> None:
    if find_mosquitto() is None:
        pytest.skip("no mosquitto")
    port = free_port()
    with running_mosquitto(tmp_path, f"listener {port} 127.0.0.1\nallow_anonymous false\n", port):
        link = settings(f"mqtt://agent:wrong@127.0.0.1:{port}", "http://127.0.0.1:9").link()
        session = Southbound(link, "road", ["a/b"], Metrics())
        connecting = asyncio.create_task(session.run(lambda *_: None, lambda _: None, at_once))
        await until(lambda: "Not authorized; look at the user and password in MQTT_URL" in (session.trouble or ""))
        session.close()
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)


def test_a_port_where_nobody_listens_and_a_host_that_is_not_are_told() -> None:
    address = Address.of("mqtt://mq.example")
    assert not_connected(address, ConnectionRefusedError(111, "refused")) == "mq.example:1883: nothing listens there"
    assert "the host mq.example is not known" in not_connected(address, socket.gaierror(-2, "no such name"))


async def test_an_agent_that_reads_nothing_for_long_stays_connected(
    mqtt_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.mqtt.KEEPALIVE_S", 1)
    loop = asyncio.get_running_loop()
    async with running(settings(mqtt_url, receiver.url, waiting_count=20)) as agent:
        receiver.open.clear()
        await send(mqtt_url, *measures("long", *range(600)))
        await until(lambda: agent.waiting_count >= 20)
        started = loop.time()
        await until(lambda: loop.time() - started > 3.5 or agent.metrics.connections._value.get() > 1)
        receiver.open.set()
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:long") == list(range(600)), within_s=10)
        assert agent.metrics.connections._value.get() == 1


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    chosen = Settings(mqtt_url="mqtts://127.0.0.1", mqtt_ca_file=tmp_path / "nowhere.pem")
    with pytest.raises(ConfigurationError, match="MEDINA_MQTT_CA_FILE"):
        chosen.link()


async def test_a_flood_from_one_device_is_dropped_and_does_not_starve_others(mqtt_url: str, receiver: Receiver) -> None:
    async with running(settings(mqtt_url, receiver.url, device_rate=1, device_burst_count=50)) as agent:
        await send(mqtt_url, *measures("flood", *range(500)), *measures("calm", 1, 2))
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:calm") == [1, 2])
        assert receiver.values("n", "urn:ngsi-ld:Pump:flood")[:50] == list(range(50))
        assert len(receiver.values("n", "urn:ngsi-ld:Pump:flood")) < 60
        (shown,) = agent.rejections.latest()
        assert shown.reason == "too-many"
        (flood,) = (await ops(agent, "/devices?device=flood"))[1]
        assert flood["dropped"] >= 440
        assert 'reason="too-many"' in (await ops(agent, "/metrics"))[1]


def states(receiver: Receiver, device: str) -> list[tuple[str, str]]:
    """What is said of a device's state, and of its Alert."""
    own = (entity for entity in receiver.committed if entity["id"].endswith(device))
    told = ((entity["type"], entity.get("deviceState") or entity.get("status")) for entity in own)
    return [(kind, state["value"]) for kind, state in told if state]


async def test_a_silent_device_is_offline_until_it_speaks_again(
    mqtt_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    devices = tmp_path / "devices.toml"
    devices.write_text("""
context = "https://medina.example/x.jsonld"
[[group]]
apikey = "quiet"
entity_type = "Pump"
device_type = "Device"
expectedInterval = 1
autoprovision = true
""")
    topic = "/json/quiet/quiet-1/attrs"
    async with running(settings(mqtt_url, receiver.url, devices=str(devices), silent_after_intervals=1.0)) as agent:
        await send(mqtt_url, (topic, b'{"n": 1}'))
        await until(lambda: states(receiver, "quiet-1") == [("Device", "offline"), ("Alert", "open")], within_s=10)
        await send(mqtt_url, (topic, b'{"n": 2}'))
        await until(lambda: states(receiver, "quiet-1")[2:4] == [("Device", "online"), ("Alert", "closed")])
        alert = next(entity for entity in receiver.committed if entity["type"] == "Alert")
        assert alert["id"] == "urn:ngsi-ld:Alert:device-quiet-1"
        assert alert["alertSource"]["object"] == "urn:ngsi-ld:Device:quiet-1"
        assert agent.waiting_count == 0


async def test_a_device_that_never_spoke_is_offline_and_one_that_was_before_is_back(
    mqtt_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    devices = tmp_path / "devices.toml"
    group = (
        'apikey = "still"\nentity_type = "Pump"\ndevice_type = "Device"\nexpectedInterval = 1\nautoprovision = true\n'
    )
    named = '[[device]]\nid = "still-never"\napikey = "still"\n'
    devices.write_text(f'context = "https://medina.example/x.jsonld"\n[[group]]\n{group}{named}')
    receiver.entities["urn:ngsi-ld:Device:still-back"] = {
        "dateLastValueReported": "2026-04-02T08:00:00.000Z",
        "deviceState": "offline",
    }
    async with running(settings(mqtt_url, receiver.url, devices=str(devices), silent_after_intervals=1.0)):
        await send(mqtt_url, ("/json/still/still-back/attrs", b'{"n": 1}'))
        await until(lambda: states(receiver, "still-back")[:2] == [("Device", "online"), ("Alert", "closed")])
        await until(lambda: states(receiver, "still-never") == [("Device", "offline"), ("Alert", "open")])
        await send(mqtt_url, ("/json/still/still-never/attrs", b'{"n": 1}'))
        await until(lambda: states(receiver, "still-never")[2:] == [("Device", "online"), ("Alert", "closed")])
