"""What the road over `deliveries` must not mix up, at moments that a whole notifier meets only by chance."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from broker.notify.backlog import Backlog
from broker.notify.bookkeeping import Bookkeeping
from broker.notify.delivery import Delivery
from broker.notify.endpoint import Endpoint
from broker.notify.lane import Lane
from broker.notify.lease import Lease
from broker.notify.progress import Ticket
from broker.notify.retry import RetryPolicy
from broker.notify.services import Services
from broker.notify.subscriber import Subscriber
from broker.notify.timed import Portion, Source, TimedLane
from broker.notify.transports.base import DELIVERED, Destination, Outcome, Transport
from broker.storage.mongo_deliveries import MongoDeliveries, Row
from broker.tasks import end
from ngsi.entity import Entity
from tests.broker.notify.test_composer import receiver
from tests.broker.notify.writer import now
from tests.waiting import until

REFUSED = Outcome("400", is_refusal=True)


class Told(Transport):
    """Sends nothing: what was started, in order; an attempt has the outcome it is told, or else succeeds."""

    def __init__(self) -> None:
        self.started: list[bytes] = []
        self.outcomes: dict[bytes, asyncio.Future[Outcome]] = {}

    async def send(self, destination: Destination, body: bytes) -> Outcome:
        self.started.append(body)
        told = self.outcomes.pop(body, None)
        return DELIVERED if told is None else await told

    async def close(self) -> None: ...


class Gated(MongoDeliveries):
    """Gives the pages that it has read when the gate is open."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str) -> None:
        super().__init__(client, prefix)
        self.gate = asyncio.Event()
        self.read_count = 0

    async def oldest(self, tenant: str, subscription: str, limit: int) -> tuple[list[Row], bool]:
        page = await super().oldest(tenant, subscription, limit)
        self.read_count += 1
        await self.gate.wait()
        return page


@pytest.fixture
async def services(client: AsyncMongoClient[dict[str, Any]], prefix: str) -> AsyncIterator[Services]:
    deliveries, lease = Gated(client, prefix), Lease(float("inf"))
    backlog = Backlog(deliveries, lease)
    writing = asyncio.create_task(backlog.run())
    policy = RetryPolicy(0.01, 0.01)
    yield Services(Told(), backlog, deliveries, Bookkeeping(deliveries), policy, _read_nothing)
    await end([writing])


async def _read_nothing(tenant: str, ids: object) -> dict[str, Entity]:
    return {}


async def test_what_fails_while_a_page_is_read_goes_out_before_later_ones_that_are_on_the_page(
    services: Services,
) -> None:
    transport, deliveries = services.transport, services.deliveries
    assert isinstance(transport, Told)
    assert isinstance(deliveries, Gated)
    loop = asyncio.get_running_loop()
    for body in (b"a1", b"b1"):
        transport.outcomes[body] = loop.create_future()
    refused, slow = transport.outcomes[b"a1"], transport.outcomes[b"b1"]
    endpoint = Endpoint("", in_flight_count=2, queue_count=9, queue_bytes=999, lease=Lease(float("inf")))
    lane = Lane(receiver(), endpoint, services)
    for number, name in enumerate(("a1", "b1", "a2", "b2", "b3")):
        row = Row("urn:s:1", f"{number:020x}", name, [name[0]], now(), name.encode())
        lane.offer(Delivery(row, Ticket({}), loop.time()))
    await until(lambda: len(transport.started) == 2)
    refused.set_result(REFUSED)
    await until(lambda: deliveries.read_count)
    slow.set_result(REFUSED)
    await until(lambda: not lane.is_busy)
    deliveries.gate.set()
    await until(lambda: len(transport.started) == 7)
    await until(lambda: lane.is_direct and not lane.is_busy)
    for entity in b"ab":
        sent = [body for body in transport.started[2:] if body[0] == entity]
        assert sent == sorted(sent)


class Due(Source):
    """One notification is due, at any time until it has been delivered."""

    is_delivered = False

    def due_s(self, subscriber: Subscriber) -> float:
        return float("inf") if self.is_delivered else 0.0

    async def portions(self, subscriber: Subscriber) -> AsyncGenerator[Portion]:
        yield Portion(Row(subscriber.id, "1", "n", ["a"], now(), b"a1"), now(), lambda: None, lambda _: None)

    def complete(self, subscriber: Subscriber) -> None:
        self.is_delivered = True


async def test_a_timed_subscription_that_is_paused_and_resumed_at_once_goes_on(services: Services) -> None:
    endpoint = Endpoint("", in_flight_count=2, queue_count=9, queue_bytes=999, lease=Lease(float("inf")))
    source = Due()
    timed = TimedLane(Lane(receiver(), endpoint, services), source, services)
    timed.start()
    timed.halt()
    timed.start()
    await until(lambda: source.is_delivered)
    await timed.stop()
    assert timed.is_idle
