"""A process that may have lost what it holds does nothing for it."""

import asyncio

from broker.notify.delivery import Delivery
from broker.notify.endpoint import Endpoint
from broker.notify.lease import Lease, now_s
from broker.storage.mongo_deliveries import Row
from tests.waiting import until


class Sender:
    """Notes the attempts."""

    def __init__(self) -> None:
        self.attempts: list[Delivery] = []

    async def attempt(self, delivery: Delivery) -> None:
        self.attempts.append(delivery)


def delivery() -> Delivery:
    return Delivery(Row("urn:s:1", "1", "n", ["urn:e:1"], "2026-01-01T00:00:00.000Z", b"{}"), None, 0.0)


async def test_nothing_starts_before_a_lease_that_may_have_run_out_is_renewed() -> None:
    lease, sender = Lease(now_s() + 60), Sender()
    endpoint = Endpoint("http://127.0.0.1/", in_flight_count=1, queue_count=10, queue_bytes=1000, lease=lease)
    endpoint.start(sender, delivery())
    await until(lambda: len(sender.attempts) == 1)
    lease.end()
    endpoint.start(sender, delivery())
    await asyncio.sleep(0.05)
    assert len(sender.attempts) == 1
    lease.renew(now_s() + 60)
    await until(lambda: len(sender.attempts) == 2)


async def test_a_lease_runs_out_by_itself() -> None:
    lease = Lease(now_s() + 0.05)
    assert lease.is_sure
    await until(lambda: not lease.is_sure)
    waiting = asyncio.create_task(lease.sure())
    lease.renew(now_s() - 1)
    await asyncio.sleep(0)
    assert not waiting.done()
    lease.renew(now_s() + 60)
    await waiting
