"""What docker-compose's `setup` writes: logins that fit together, made once, readable by their owner only."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from broker.embedded import find_mosquitto, running_mosquitto
from broker.supervisor.deployment import mosquitto_version, prepare_secrets
from broker.supervisor.errors import DataFolderUnusable, ServerRefusedLogin
from broker.supervisor.probes import check_mqtt
from tests.conftest import unused_port
from tests.waiting import until_sync

ME = os.geteuid()


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_made_once(tmp_path: Path) -> None:
    assert len(prepare_secrets(tmp_path, ME, ME)) == 6
    before = contents(tmp_path)
    assert prepare_secrets(tmp_path, ME, ME) == [f"{tmp_path} was complete"]
    assert contents(tmp_path) == before
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}


def test_an_upgrade_starts_mosquitto_anew_when_its_files_are_others() -> None:
    """Compose leaves a container alone whose description is the same, and mosquitto would keep the rights of before."""
    compose = Path(__file__).parents[2].joinpath("docker-compose.yml").read_text(encoding="utf-8")
    assert f'medina.mosquitto: "{mosquitto_version()}"' in compose, "write this version into docker-compose.yml"


def test_a_lost_login_renews_all_logins_but_never_the_pseudonym_key(tmp_path: Path) -> None:
    prepare_secrets(tmp_path, ME, ME)
    before = contents(tmp_path)
    (tmp_path / "devices" / "mqtt-url").unlink()
    prepare_secrets(tmp_path, ME, ME)
    after = contents(tmp_path)
    assert after["agent/pseudonym.key"] == before["agent/pseudonym.key"]
    assert after["agent/mqtt-url"] != before["agent/mqtt-url"]
    assert urlsplit(after["devices/mqtt-url"]).password == urlsplit(after["devices/mqtt-url-local"]).password


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderUnusable, match="cannot be prepared"):
        prepare_secrets(tmp_path / "file", ME, ME)


@contextmanager
def deployed(folder: Path, **options: str) -> Iterator[int]:
    """mosquitto with the files that were prepared; gives its port."""
    prepare_secrets(folder, ME, ME, **options)
    port = unused_port()
    mine = (folder / "mosquitto" / "mosquitto.conf").read_text()
    mine = mine.replace("listener 1883", f"listener {port} 127.0.0.1")
    mine = mine.replace("/mosquitto/config", str(folder / "mosquitto"))
    mine = mine.replace("/mosquitto/data", str(folder / "mosquitto-data"))
    with running_mosquitto(folder, mine, port):
        yield port


def connected(folder: Path, account: str, port: int) -> Client:
    """A client that has logged in."""
    login = urlsplit((folder / account / "mqtt-url").read_text().strip())
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(login.username, login.password)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


@pytest.mark.skipif(not find_mosquitto(), reason="the files are mosquitto's")
def test_mosquitto_lets_in_who_has_the_password_and_nobody_else(tmp_path: Path) -> None:
    with deployed(tmp_path) as port:
        url = (tmp_path / "agent" / "mqtt-url").read_text().strip().replace("mosquitto:1883", f"127.0.0.1:{port}")
        check_mqtt(url, within_s=5)
        for wrong in (f"mqtt://127.0.0.1:{port}", f"mqtt://agent:wrong@127.0.0.1:{port}"):
            with pytest.raises(ServerRefusedLogin):
                check_mqtt(wrong, within_s=5)


@pytest.mark.skipif(not find_mosquitto(), reason="the files are mosquitto's")
def test_devices_publish_where_they_may_and_nowhere_else(tmp_path: Path) -> None:
    heard: list[str] = []
    subscribed: list[object] = []
    with deployed(tmp_path, device_topics="heat/#, north/+/state") as port:
        agent, device = connected(tmp_path, "agent", port), connected(tmp_path, "devices", port)
        agent.on_message = lambda _client, _data, message: heard.append(message.topic)
        agent.on_subscribe = lambda *granted: subscribed.append(granted)
        agent.subscribe("#", qos=1)
        until_sync(lambda: bool(subscribed), within_s=5)
        for topic in (
            "heat/4711/telegram",
            "south/1/state",
            "/roses/pump/cmd",
            "north/1/state",
            "/json/roses/pump/attrs",
        ):
            device.publish(topic, "x", qos=1)
        until_sync(lambda: heard[-1:] == ["/json/roses/pump/attrs"], within_s=5)
        for client in (agent, device):
            client.disconnect()
            client.loop_stop()
    assert heard == ["heat/4711/telegram", "north/1/state", "/json/roses/pump/attrs"]


@pytest.mark.skipif(not find_mosquitto(), reason="the files are mosquitto's")
def test_an_operator_adds_a_listener_with_tls_and_the_same_passwords(tmp_path: Path) -> None:
    prepare_secrets(tmp_path, ME, ME)
    more, tls_port, authority = tmp_path / "mosquitto" / "more", unused_port(), trustme.CA()
    authority.cert_pem.write_to_path(more / "ca.pem")
    server, client_certificate = authority.issue_cert("127.0.0.1"), authority.issue_cert("gate-1")
    server.private_key_pem.write_to_path(more / "key.pem")
    server.cert_chain_pems[0].write_to_path(more / "cert.pem")
    (more / "tls.conf").write_text(
        f"listener {tls_port} 127.0.0.1\ncafile {more}/ca.pem\ncertfile {more}/cert.pem\nkeyfile {more}/key.pem\n"
        "require_certificate true\n"
    )
    certified = ssl.create_default_context(cafile=str(more / "ca.pem"))
    client_certificate.configure_cert(certified)
    login = urlsplit((tmp_path / "devices" / "mqtt-url").read_text().strip())
    codes: list[str] = []
    with deployed(tmp_path):
        for password in (login.password, "wrong"):
            client = Client(CallbackAPIVersion.VERSION2)
            client.username_pw_set("devices", password)
            client.tls_set_context(certified)
            client.on_connect = lambda _client, _data, _flags, code, _properties: codes.append(code.getName())
            client.connect("127.0.0.1", tls_port)
            expected = len(codes) + 1
            client.loop_start()
            until_sync(lambda expected=expected: len(codes) >= expected, within_s=5)  # type: ignore[misc]
            client.disconnect()
            client.loop_stop()
    assert codes[:2] == ["Success", "Not authorized"]  # who is refused tries again
