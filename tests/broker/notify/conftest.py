from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from broker.notify.service import RunningNotifier, running_notifier
from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from tests.broker.notify.receiver import Receiver
from tests.broker.notify.writer import Writer
from tests.waiting import until

_prefixes = count(1)

StartNotifier = Callable[..., Awaitable[RunningNotifier]]
StartReceiver = Callable[..., Awaitable[Receiver]]


@pytest.fixture
def prefix() -> str:
    """A database name of this test's own."""
    return f"notify{next(_prefixes)}"


@pytest.fixture
async def client(mongo: str) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](mongo) as connected:
        yield connected


@pytest.fixture
def writer(client: AsyncMongoClient[dict[str, Any]], prefix: str) -> Writer:
    return Writer(client, prefix)


@pytest.fixture
async def start_receiver(free_port: Callable[[], int]) -> AsyncIterator[StartReceiver]:
    receivers = []

    async def start(**settings: Any) -> Receiver:
        receiver = Receiver(free_port(), **settings)
        await receiver.start()
        receivers.append(receiver)
        return receiver

    yield start
    for receiver in receivers:
        await receiver.stop()


@pytest.fixture
async def start_notifier(mongo: str, prefix: str) -> AsyncIterator[StartNotifier]:
    async with AsyncExitStack() as stack:

        async def start(**delivery: Any) -> RunningNotifier:
            settings = Settings(mongodb_uri=mongo, database=prefix)
            running = await stack.enter_async_context(
                running_notifier(settings, DeliverySettings(**{"first_retry_s": 0.02, "retry_cap_s": 0.2} | delivery))
            )
            await until(lambda: not any(running.checks().values()))
            return running

        yield start
