"""What `flush` promises: a page that is read after it has every row that was given before it."""

import asyncio
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from broker.notify.backlog import Backlog
from broker.notify.lease import Lease
from broker.storage.mongo_deliveries import MongoDeliveries, Row
from broker.tasks import end
from tests.broker.notify.writer import now

MORE_THAN_ONE_WRITE = 1001


@pytest.fixture
def backlog(client: AsyncMongoClient[dict[str, Any]], prefix: str) -> Backlog:
    """Does not write yet."""
    return Backlog(MongoDeliveries(client, prefix), Lease(float("inf")))


def row(number: int) -> Row:
    return Row("urn:s:1", f"{number:+020}", "n", ["urn:e:1"], now(), b"{}")


@pytest.mark.parametrize("tenants", [("", ""), ("", "other")])
async def test_a_flush_waits_for_all_that_was_given_before_it_however_much_is_given_after(
    backlog: Backlog, tenants: tuple[str, str]
) -> None:
    stored: list[int] = []
    for number in range(MORE_THAN_ONE_WRITE):
        tenant = tenants[number == MORE_THAN_ONE_WRITE - 1]
        backlog.put(tenant, row(number), lambda number=number: stored.append(number))  # type: ignore[misc]
    flushing = asyncio.create_task(backlog.flush())
    await asyncio.sleep(0)
    for number in range(MORE_THAN_ONE_WRITE):
        backlog.drop(tenants[0], row(-1 - number))
    writing = asyncio.create_task(backlog.run())
    await flushing
    assert stored == list(range(MORE_THAN_ONE_WRITE))
    await end([writing])
