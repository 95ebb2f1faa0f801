"""What every transport keeps to, and what HTTP adds."""

import socket
from collections.abc import AsyncIterator, Callable

import pytest

from broker.address_rule import address_rule
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
