"""Several notifiers share the subscriptions; they come, go, die and fall asleep, and nobody is told less or twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from tests.end_to_end.city import City, request
from tests.end_to_end.process import Process
from tests.faults.load import Load
from tests.faults.watches import METERS, WATCHES, meter, meter_id
from tests.waiting import until, until_sync

PER_METER = 60
TAKEN_OVER_WITHIN_S = 8
EVERY = list(range(16))
TOO_SLOW = ("stopped without storing everything", "partitions lost", "no answer within")
"""What a notifier says when it, MongoDB or the receiver has no time: some notifications are repeated then."""


@pytest.fixture
def meters(city: City) -> Iterator[None]:
    """Meters without updates, and ten subscriptions that all go to the one receiver."""
    created = city.api("POST", "/entityOperations/create", [meter(number) for number in range(METERS)])
    assert created.status == 201, created
    for watch in WATCHES:
        created = city.api("POST", "/subscriptions", watch.body(city.ports["receiver"]))
        assert created.status == 201, created
    yield
    city.api("POST", "/entityOperations/delete", [meter_id(number) for number in range(METERS)])


@pytest.fixture
def others(city: City) -> Iterator[list[Process]]:
    """Two more notifiers, not started."""
    processes = [city.role("notifier", name) for name in ("notifier-b", "notifier-c")]
    yield processes
    for process in processes:
        process.end()
    until_sync(lambda: partitions(city, city.parts["notifier"]) == EVERY)


def partitions(city: City, notifier: Process) -> list[int]:
    """What a notifier says that it serves."""
    held: list[int] = request(city.ports[notifier.name], "GET", "/ready").json()["partitions"]
    return held


def share_all(city: City, *notifiers: Process) -> bool:
    """Whether these notifiers hold every partition, each its fair share."""
    held = [partitions(city, notifier) for notifier in notifiers]
    counts = [len(numbers) for numbers in held]
    return sorted(number for numbers in held for number in numbers) == EVERY and max(counts) - min(counts) <= 1


@asynccontextmanager
async def updated(city: City) -> AsyncIterator[None]:
    """Updates all meters while the block runs; everybody has been told of each update in order afterwards."""
    load = Load(city.ports["broker"], PER_METER)
    updating = asyncio.create_task(load.run())
    await until(lambda: load.acknowledged > METERS)
    yield
    await updating

    def missing() -> dict[str, list[int]]:
        arrivals = city.record.arrivals(by_subscription=True)
        wanted = {
            f"{watch.id} {meter_id(number)}": {n for n in range(PER_METER) if watch.wants(number, n)}
            for watch in WATCHES
            for number in range(METERS)
        }
        found = {
            key: sorted(numbers - arrivals[key].seen) if key in arrivals else sorted(numbers)
            for key, numbers in wanted.items()
        }
        return {key: numbers for key, numbers in found.items() if numbers}

    await until(lambda: not missing(), within_s=30, every_s=0.5)
    arrivals = city.record.arrivals(by_subscription=True)
    assert {key: one.late for key, one in arrivals.items() if one.disordered} == {}


@pytest.mark.timeout(120)
async def test_notifiers_join_and_leave_and_each_has_its_share(city: City, meters: None, others: list[Process]) -> None:
    first, (second, third) = city.parts["notifier"], others
    said_before = len(first.log.read_text())
    async with updated(city):
        await asyncio.to_thread(second.start)
        await until(lambda: share_all(city, first, second))
        await asyncio.to_thread(third.start)
        await until(lambda: share_all(city, first, second, third))
        assert city.metrics(third.name)["medina_partitions_held"] >= 5
        assert await asyncio.to_thread(second.stop) == 0
        await until(lambda: share_all(city, first, third))
    # Everything was handed over in order: nothing had to be repeated, unless MongoDB kept a handover waiting too long.
    said = first.log.read_text()[said_before:] + second.log.read_text() + third.log.read_text()
    repeated = sum(one.duplicates for one in city.record.arrivals(by_subscription=True).values())
    assert not repeated or any(text in said for text in TOO_SLOW), repeated


@pytest.mark.timeout(120)
async def test_the_others_take_over_when_one_is_killed(city: City, meters: None, others: list[Process]) -> None:
    first, (second, third) = city.parts["notifier"], others
    for process in others:
        await asyncio.to_thread(process.start)
    await until(lambda: share_all(city, first, second, third))
    async with updated(city):
        second.kill()
        await until(lambda: share_all(city, first, third), TAKEN_OVER_WITHIN_S)


@pytest.mark.timeout(120)
async def test_a_notifier_that_slept_through_its_lease_sends_nothing_more(
    city: City, meters: None, others: list[Process]
) -> None:
    first, (second, _) = city.parts["notifier"], others
    await asyncio.to_thread(second.start)
    await until(lambda: share_all(city, first, second))
    async with updated(city):
        second.pause()
        asleep_at = monotonic()
        try:
            await until(lambda: partitions(city, first) == EVERY, TAKEN_OVER_WITHIN_S)
        finally:
            second.wake()
        assert monotonic() - asleep_at > 2, "it was meant to have a lease"
        await until(lambda: share_all(city, first, second))
    assert "partitions lost" in second.log.read_text()
