"""What happens to notifications when receivers are away, slow or choosy, and when the notifier itself dies."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from broker.embedded import running_mongod
from broker.notify.service import running_notifier
from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from ngsi.entity import Entity
from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.notifier_process import notifier_process
from tests.broker.notify.receiver import Receiver
from tests.broker.notify.writer import Writer, created, entity, updated
from tests.waiting import until

ROOMS = [f"urn:ngsi-ld:Room:{number}" for number in range(5)]


async def write_rounds(writer: Writer, rooms: list[Entity], first: int, count: int) -> list[Entity]:
    """Writes each room `count` times, numbering the values; gives the last states."""
    for value in range(first, first + count):
        changed = [updated(room, f"round-{value}-{room.id}", temperature=value) for room in rooms]
        await writer.write(*((room, [change]) for room, change in changed))
        rooms = [room for room, _ in changed]
    return rooms


async def new_rooms(writer: Writer) -> list[Entity]:
    rooms = [entity(room, temperature=0) for room in ROOMS]
    await writer.write(*(created(room) for room in rooms))
    return rooms


def everything_up_to(value: int) -> dict[str, list[int]]:
    return {room: list(range(value + 1)) for room in ROOMS}


async def test_a_receiver_that_was_down_gets_everything_in_order(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    rooms = await new_rooms(writer)
    rooms = await write_rounds(writer, rooms, 1, 5)
    await until(lambda: receiver.values() == everything_up_to(5))
    await receiver.stop()
    rooms = await write_rounds(writer, rooms, 6, 20)
    await until(lambda: _is_stored(writer, at_least=90))
    await receiver.start()
    await write_rounds(writer, rooms, 26, 20)
    await until(lambda: receiver.values() == everything_up_to(45))
    await until(lambda: _is_empty(writer))


async def test_a_slow_or_dead_receiver_does_not_delay_a_healthy_one(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver, free_port: Callable[[], int]
) -> None:
    slow, healthy = await start_receiver(), await start_receiver()
    slow.is_free.clear()
    await start_notifier(queue_count=20)
    await writer.subscribe("urn:s:dead", f"http://127.0.0.1:{free_port()}/notify")
    await writer.subscribe("urn:s:slow", slow.uri)
    await writer.subscribe("urn:s:healthy", healthy.uri)
    rooms = await new_rooms(writer)
    await write_rounds(writer, rooms, 1, 20)
    await until(lambda: healthy.values() == everything_up_to(20))
    assert not slow.received
    slow.is_free.set()
    await until(lambda: slow.values() == everything_up_to(20))


async def test_a_notification_too_old_becomes_a_dead_letter_and_later_ones_get_through(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=500)
    await start_notifier(max_age_s=0.5)
    await writer.subscribe("urn:s:1", receiver.uri)
    rooms = await new_rooms(writer)
    await until(lambda: _is_stored(writer, at_least=len(ROOMS), state="dead"))
    letter = await writer.deliveries.find_one({"state": "dead"})
    assert letter is not None
    assert letter["error"] == "not delivered within 0.5 s"
    receiver.answer = 204
    await write_rounds(writer, rooms, 1, 1)
    await until(lambda: receiver.values() == {room: [1] for room in ROOMS})


async def test_a_notification_that_is_refused_holds_up_only_its_own_entity(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(refused={ROOMS[0]})
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    await write_rounds(writer, await new_rooms(writer), 1, 5)
    others = {room: list(range(6)) for room in ROOMS[1:]}
    await until(lambda: receiver.values() == others)
    receiver.refused = set()
    await until(lambda: receiver.values() == everything_up_to(5))


async def test_retry_after_is_obeyed(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=503, headers={"Retry-After": "1"})
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    await writer.write(created(entity(ROOMS[0], temperature=0)))
    await until(lambda: receiver.attempts == 1)
    receiver.answer = 204
    await until(lambda: receiver.received)
    first_s, second_s = receiver.times_s
    assert second_s - first_s >= 1


@pytest.mark.parametrize("answer", [200, 201, 202, 204])
async def test_any_2xx_is_success(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver, answer: int
) -> None:
    receiver = await start_receiver(answer=answer)
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    await writer.write(created(entity(ROOMS[0], temperature=0)))
    await until(lambda: receiver.received)
    await until(lambda: _is_booked(writer, "lastSuccess"))
    assert receiver.attempts == 1


async def test_a_redirect_is_not_followed(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    elsewhere = await start_receiver()
    receiver = await start_receiver(answer=307, headers={"Location": elsewhere.uri})
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    await writer.write(created(entity(ROOMS[0], temperature=0)))
    await until(lambda: _is_booked(writer, "lastFailure"))
    assert elsewhere.attempts == 0


async def test_a_thousand_subscriptions_of_one_entity_are_all_told(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    for number in range(1000):
        await writer.subscribe(f"urn:s:{number}", receiver.uri)
    await writer.write(created(entity(ROOMS[0], temperature=0)))
    await until(lambda: len({item["subscriptionId"] for item in receiver.received}) == 1000, within_s=15)


async def test_a_killed_notifier_goes_on_where_it_was(
    mongo: str, prefix: str, writer: Writer, start_receiver: StartReceiver, free_port: Callable[[], int]
) -> None:
    receiver = await start_receiver()
    await writer.subscribe("urn:s:1", receiver.uri)
    async with notifier_process(mongo, prefix, free_port()):
        rooms = await new_rooms(writer)
        await until(lambda: receiver.received)
    for value in (0, 20):
        is_sending = has_received_more(receiver)
        rooms = await write_rounds(writer, rooms, value + 1, 10)
        async with notifier_process(mongo, prefix, free_port()) as process:
            await until(is_sending)
            process.send_signal(signal.SIGKILL)
            process.wait()
        rooms = await write_rounds(writer, rooms, value + 11, 10)
    async with notifier_process(mongo, prefix, free_port()) as process:
        await until(lambda: receiver.values() == everything_up_to(40), within_s=20)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0


async def test_a_stopped_notifier_repeats_nothing(
    writer: Writer, mongo: str, prefix: str, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(delay_s=0.05)
    settings, delivery = Settings(mongodb_uri=mongo, database=prefix), DeliverySettings()
    await writer.subscribe("urn:s:1", receiver.uri)
    async with running_notifier(settings, delivery) as running:
        await until(lambda: not any(running.checks().values()))
        rooms = await write_rounds(writer, await new_rooms(writer), 1, 10)
        await until(lambda: receiver.received)
    async with running_notifier(settings, delivery):
        await write_rounds(writer, rooms, 11, 1)
        await until(lambda: receiver.values() == everything_up_to(11))
    ids = [notification["id"] for notification in receiver.received]
    assert len(ids) == len(set(ids))


async def test_a_restart_of_mongodb_is_waited_out(
    tmp_path: Path, free_port: Callable[[], int], start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    port = free_port()
    async with AsyncExitStack() as stack:
        with running_mongod(tmp_path, port) as uri:
            settings = Settings(mongodb_uri=uri, database="restart")
            client = await stack.enter_async_context(AsyncMongoClient[dict[str, Any]](uri))
            writer = Writer(client, "restart")
            await writer.subscribe("urn:s:1", receiver.uri)
            running = await stack.enter_async_context(running_notifier(settings, DeliverySettings()))
            await until(lambda: not any(running.checks().values()))
            rooms = await write_rounds(writer, await new_rooms(writer), 1, 5)
        await until(lambda: any(running.checks().values()))
        with running_mongod(tmp_path, port):
            await until(lambda: not any(running.checks().values()))
            await write_rounds(writer, rooms, 6, 5)
            await until(lambda: receiver.values() == everything_up_to(10))
            await stack.aclose()


def has_received_more(receiver: Receiver) -> Callable[[], bool]:
    """Whether something came in since this was called."""
    known_count = len(receiver.received)
    return lambda: len(receiver.received) > known_count


async def _is_stored(writer: Writer, *, at_least: int, state: str = "pending") -> bool:
    return await writer.deliveries.count_documents({"state": state}) >= at_least


async def _is_empty(writer: Writer) -> bool:
    return await writer.deliveries.count_documents({}) == 0


async def _is_booked(writer: Writer, member: str) -> bool:
    return member in await writer.counters("urn:s:1")
