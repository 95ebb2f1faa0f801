"""timeInterval: what matches, at its times, found the way queries find it."""

import asyncio

import pytest

from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.test_throttling import gaps_s
from tests.broker.notify.writer import Writer, created, entity, now, updated
from tests.waiting import until

ROOMS = [f"urn:ngsi-ld:Room:{number}" for number in range(3)]


async def new_rooms(writer: Writer) -> None:
    await writer.write(*(created(entity(room, temperature=number)) for number, room in enumerate(ROOMS)))


async def test_all_that_match_come_in_one_notification_at_every_interval(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await new_rooms(writer)
    await writer.subscribe("urn:s:1", receiver.uri, timeInterval=0.5, q="temperature>0")
    await until(lambda: len(receiver.received) >= 4)
    assert all([item["id"] for item in told["data"]] == ROOMS[1:] for told in receiver.received)
    assert len({told["id"] for told in receiver.received}) == len(receiver.received)
    assert sum(gaps_s(receiver)[:3]) == pytest.approx(1.5, abs=0.4)


async def test_nothing_is_sent_while_nothing_matches_nor_for_changes(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, timeInterval=0.3, q="temperature>10")
    room = entity(ROOMS[0], temperature=0)
    await writer.write(created(room))
    await until(lambda: _is_due_stored(writer))
    assert not receiver.attempts
    room, change = updated(room, "warm", temperature=20)
    await writer.write((room, [change]))
    await until(lambda: receiver.received)
    assert receiver.received[0]["data"][0]["temperature"]["value"] == 20


async def test_a_failed_one_is_made_anew(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=500)
    await start_notifier()
    room = entity(ROOMS[0], temperature=0)
    await writer.write(created(room))
    await writer.subscribe("urn:s:1", receiver.uri, timeInterval=0.5)
    await until(lambda: receiver.attempts >= 2)
    room, change = updated(room, "warm", temperature=20)
    await writer.write((room, [change]))
    # The attempt under way may have been made before; one after the next has not.
    known = receiver.attempts
    await until(lambda: receiver.attempts >= known + 2)
    receiver.answer = 204
    await until(lambda: receiver.received)
    assert receiver.received[-1]["data"][0]["temperature"]["value"] == 20
    assert await writer.deliveries.count_documents({}) == 0


async def test_large_results_are_cut(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.write(*(created(entity(f"urn:ngsi-ld:Room:{number:04}", temperature=1)) for number in range(1200)))
    await writer.subscribe("urn:s:1", receiver.uri, timeInterval=1.5)
    await until(lambda: len(receiver.received) >= 2)
    assert [len(told["data"]) for told in receiver.received[:2]] == [1000, 200]


async def test_a_paused_one_is_silent(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await new_rooms(writer)
    await writer.subscribe("urn:s:1", receiver.uri, timeInterval=0.3)
    await until(lambda: receiver.received)
    await writer.subscriptions.update_one(
        {"_id": "urn:s:1"}, {"$set": {"subscription.isActive": False, "modifiedAt": now()}}
    )
    await writer.subscribe("urn:s:2", receiver.uri, timeInterval=0.3)
    await until(lambda: receiver.received[-1]["subscriptionId"] == "urn:s:2")
    await asyncio.sleep(0.4)  # more than an interval: what would come has come
    count = len(receiver.received)
    await until(lambda: len(receiver.received) >= count + 3)
    assert {told["subscriptionId"] for told in receiver.received[count:]} == {"urn:s:2"}


async def _is_due_stored(writer: Writer) -> bool:
    return "due" in await writer.counters("urn:s:1")
