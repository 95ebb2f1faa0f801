"""What every transport keeps to, and what HTTP adds."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from broker.address_rule import address_rule
from broker.notify.settings import DeliverySettings
from broker.notify.transports.base import Destination, Outcome
from broker.notify.transports.outside import Outside
from broker.notify.transports.registry import Transports
from tests.broker.notify.conftest import StartReceiver

BODY = b'{"id":"urn:n:1","data":[]}'


@pytest.fixture
async def transport() -> AsyncIterator[Transports]:
    made = Transports(Outside(address_rule("any")))
    yield made
    await made.close()


def to(uri: str, timeout_s: float = 2.0) -> Destination:
    return Destination(uri, {"Content-Type": "application/json", "X-Pilot": "campus"}, timeout_s)


async def test_delivered_means_that_the_receiver_has_it(transport: Transports, start_receiver: StartReceiver) -> None:
    receiver = await start_receiver()
    outcome = await transport.send(to(receiver.uri), BODY)
    assert outcome.is_delivered
    assert receiver.received == [{"id": "urn:n:1", "data": []}]
    assert receiver.requests[0].headers["X-Pilot"] == "campus"


@pytest.mark.parametrize(
    ("answer", "is_refusal"), [(302, False), (400, True), (404, True), (408, False), (429, False), (500, False)]
)
async def test_other_answers_are_failures(
    transport: Transports, start_receiver: StartReceiver, answer: int, is_refusal: bool
) -> None:
    receiver = await start_receiver(answer=answer)
    outcome = await transport.send(to(receiver.uri), BODY)
    assert not outcome.is_delivered
    assert str(answer) in (outcome.error or "")
    assert outcome.is_refusal is is_refusal


async def test_gone_is_told_apart(transport: Transports, start_receiver: StartReceiver) -> None:
    for answer, is_gone in ((404, False), (410, True)):
        receiver = await start_receiver(answer=answer)
        assert (await transport.send(to(receiver.uri), BODY)).is_gone is is_gone


async def test_redirects_are_not_followed_and_said_without_secrets(
    transport: Transports, start_receiver: StartReceiver
) -> None:
    target = await start_receiver()
    onward = target.uri.replace("http://", "http://ali:hush@") + "?token=hush#hush"
    for answer in (301, 302, 303, 307, 308):
        receiver = await start_receiver(answer=answer, headers={"Location": onward})
        outcome = await transport.send(to(receiver.uri), BODY)
        assert f"redirected to {target.uri}?…" in (outcome.error or "")
        assert "hush" not in (outcome.error or "")
    assert target.attempts == 0


@pytest.mark.parametrize(
    ("text", "least_s", "most_s"),
    [
        ("7", 7, 7),
        ("nonsense", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1e9, 1e10),
    ],
)
async def test_retry_after(
    transport: Transports, start_receiver: StartReceiver, text: str, least_s: float, most_s: float
) -> None:
    receiver = await start_receiver(answer=503, headers={"Retry-After": text})
    outcome = await transport.send(to(receiver.uri), BODY)
    assert least_s <= outcome.retry_after_s <= most_s


async def test_nobody_listens(transport: Transports, free_port: Callable[[], int]) -> None:
    assert not (await transport.send(to(f"http://127.0.0.1:{free_port()}/"), BODY)).is_delivered


async def test_a_receiver_that_does_not_answer_in_time(transport: Transports) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        outcome = await transport.send(to(f"http://127.0.0.1:{port}/", timeout_s=0.2), BODY)
    assert outcome == Outcome("no answer within 0.2 s")


async def test_an_endless_answer_is_cut_off(transport: Transports) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await transport.send(to(f"http://127.0.0.1:{port}/", timeout_s=20.0), BODY)).is_delivered


async def test_https_checks_the_certificate(tmp_path: Path, start_receiver: StartReceiver) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    receiver = await start_receiver(tls=context)
    uri = receiver.uri.replace("127.0.0.1", "localhost")
    trusting = Transports(Outside(address_rule("any"), str(tmp_path / "ca.pem")))
    assert (await trusting.send(to(uri), BODY)).error is None
    strict = Transports(Outside(address_rule("any")))
    for outcome in (await trusting.send(to(receiver.uri), BODY), await strict.send(to(uri), BODY)):
        assert "certificate" in (outcome.error or "").lower()
    assert receiver.attempts == 1
    await trusting.close()
    await strict.close()


def test_a_ca_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense", encoding="utf-8")
    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(ValueError, match="no certificates can be read"):
            DeliverySettings(ca_file=str(tmp_path / name))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "rebound.example"],
)
async def test_addresses_that_are_not_permitted_are_not_connected_to(
    start_receiver: StartReceiver, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Whatever they are written as, and whatever a name is resolved to."""
    asked = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda name, *rest: asked("127.0.0.1" if name == "rebound.example" else name, *rest)
    )
    receiver = await start_receiver()
    uri = receiver.uri.replace("127.0.0.1", host)
    careful = Transports(Outside(address_rule("public")))
    assert not (await careful.send(to(uri), BODY)).is_delivered
    await careful.close()
    assert receiver.attempts == 0
    if host in ("localhost", "rebound.example"):
        trusting = Transports(Outside(address_rule(f"public,{host}")))
        assert (await trusting.send(to(uri), BODY)).error is None
        await trusting.close()


async def test_an_account_in_the_uri_is_used(transport: Transports, start_receiver: StartReceiver) -> None:
    receiver = await start_receiver()
    await transport.send(to(receiver.uri.replace("//", "//ali:h%40sh@")), BODY)
    assert receiver.requests[0].headers["Authorization"] == f"Basic {b64encode(b'ali:h@sh').decode()}"


async def test_no_error_shows_a_password(transport: Transports, free_port: Callable[[], int]) -> None:
    account = "ali:hush@"
    addresses = ["127.0.0.1:99999", f"127.0.0.1:{free_port()}", "nowhere.invalid", "h:port", "é.invalid/ü", "[::1", "-"]
    for scheme in ("http", "https", "mqtt", "mqtts", "gopher"):
        for address in addresses:
            destination = to(f"{scheme}://{account}{address}/t", timeout_s=1.0)
            outcome = await transport.send(destination, BODY)
            assert outcome.error
            assert "hush" not in outcome.error + repr(destination)


async def test_a_host_that_does_not_exist(transport: Transports) -> None:
    outcome = await transport.send(to("http://nowhere.invalid/", timeout_s=3.0), BODY)
    assert not outcome.is_delivered


@pytest.mark.parametrize("uri", ["gopher://x.example/", "http://127.0.0.1:99999/", "http://[::1/"])
async def test_an_address_that_cannot_be_used_is_a_failure(transport: Transports, uri: str) -> None:
    assert not (await transport.send(to(uri), BODY)).is_delivered


async def test_a_connection_that_the_receiver_closed_meanwhile_costs_nothing(
    transport: Transports, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    destination = to(receiver.uri)
    for _ in range(3):
        assert (await transport.send(destination, BODY)).is_delivered
        await receiver.stop()
        await receiver.start()
    assert (await transport.send(destination, BODY)).is_delivered
