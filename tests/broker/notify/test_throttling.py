"""Throttling: silence inside the window, the newest states after it, whatever happens in between."""

from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.receiver import Receiver
from tests.broker.notify.writer import Writer, created, entity, now, updated
from tests.waiting import until

ROOM, OTHER = "urn:ngsi-ld:Room:1", "urn:ngsi-ld:Room:2"


def gaps_s(receiver: Receiver) -> list[float]:
    """The times between attempts."""
    return [later - earlier for earlier, later in zip(receiver.times_s, receiver.times_s[1:], strict=False)]


async def is_held(writer: Writer, count: int) -> bool:
    return await writer.deliveries.count_documents({"state": "held"}) == count


async def test_the_first_comes_at_once_then_the_newest_states_when_the_time_is_over(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, throttling=1.5)
    room = entity(ROOM, temperature=0)
    await writer.write(created(room))
    await until(lambda: receiver.received, within_s=1.2)
    for value in range(1, 6):
        room, change = updated(room, f"r{value}", temperature=value)
        await writer.write((room, [change]))
    await writer.write(created(entity(OTHER, temperature=100)))
    await until(lambda: is_held(writer, 2))
    assert len(receiver.received) == 1
    await until(lambda: len(receiver.received) == 2)
    assert receiver.values() == {ROOM: [0, 5], OTHER: [100]}
    assert gaps_s(receiver)[0] >= 1.45
    await until(lambda: is_held(writer, 0))
    room, change = updated(room, "last", temperature=6)
    await writer.write((room, [change]))
    await until(lambda: len(receiver.received) == 3)
    assert gaps_s(receiver)[1] >= 1.45
    assert [len(item["data"]) for item in receiver.received] == [1, 2, 1]


async def test_a_held_deletion_is_told_as_one(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    triggers = ["entityCreated", "entityDeleted"]
    await writer.subscribe("urn:s:1", receiver.uri, throttling=0.5, notificationTrigger=triggers)
    room = entity(ROOM, temperature=0)
    await writer.write(created(room))
    await until(lambda: receiver.received)
    await writer.delete(room)
    await until(lambda: len(receiver.received) == 2)
    assert "deletedAt" in receiver.received[1]["data"][0]


async def test_failed_attempts_do_not_pile_up_and_the_newest_state_gets_through(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=503)
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, throttling=0.3)
    room = entity(ROOM, temperature=0)
    await writer.write(created(room))
    await until(lambda: receiver.attempts >= 2)
    for value in range(1, 4):
        room, change = updated(room, f"r{value}", temperature=value)
        await writer.write((room, [change]))
    await until(lambda: receiver.attempts >= 4)
    assert await is_held(writer, 1)
    receiver.answer = 204
    await until(lambda: receiver.received)
    assert receiver.values() == {ROOM: [3]}
    assert min(gaps_s(receiver)) >= 0.28
    await until(lambda: is_held(writer, 0))


async def test_without_throttling_any_more_what_was_held_comes_first(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, throttling=60)
    room = entity(ROOM, temperature=0)
    await writer.write(created(room))
    await until(lambda: receiver.received)
    room, change = updated(room, "r1", temperature=1)
    await writer.write((room, [change]))
    await until(lambda: is_held(writer, 1))
    await writer.subscriptions.update_one(
        {"_id": "urn:s:1"}, {"$unset": {"subscription.throttling": ""}, "$set": {"modifiedAt": now()}}
    )
    for value in (2, 3):
        room, change = updated(room, f"r{value}", temperature=value)
        await writer.write((room, [change]))
    await until(lambda: receiver.values()[ROOM][-1] == 3)
    assert receiver.values()[ROOM] in ([0, 1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 3])


async def test_a_repeated_change_does_not_take_the_place_of_a_newer_state(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, throttling=3)
    room, changes = created(entity(ROOM, temperature=0))
    await writer.write((room, changes))
    await until(lambda: receiver.received)
    await until(lambda: is_held(writer, 0))
    room, change = updated(room, "r1", temperature=1)
    await writer.write((room, [change]))
    await until(lambda: is_held(writer, 1))
    held = await writer.deliveries.find_one({"state": "held"})
    assert held is not None
    await writer.deliveries.update_one({"_id": held["_id"]}, {"$set": {"sequence": "f" * 20}})
    room, change = updated(room, "r2", temperature=2)
    await writer.write((room, [change]))
    await until(lambda: len(receiver.received) == 2)
    assert receiver.values() == {ROOM: [0, 1]}
