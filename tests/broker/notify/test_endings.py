"""What a receiver can ask for: a pause, the end; and what is written down of each attempt."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ngsi.datetimes import system_text
from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.test_throttling import gaps_s
from tests.broker.notify.writer import Writer, created, entity, now, updated
from tests.waiting import until

ROOM = "urn:ngsi-ld:Room:1"


async def test_after_a_410_nothing_more_is_sent_until_the_subscription_is_resumed(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver, other = await start_receiver(answer=410), await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    await writer.subscribe("urn:s:2", other.uri)
    room = entity(ROOM, temperature=0)
    await writer.write(created(room))
    await until(lambda: _is_active(writer, expected=False))
    counters = await writer.counters("urn:s:1")
    assert "410" in counters["ended"]["reason"]

    async def is_booked() -> bool:
        return (await writer.counters("urn:s:1")).get("state") == "failed"

    await until(is_booked)
    room, change = updated(room, "r1", temperature=1)
    await writer.write((room, [change]))
    await until(lambda: other.values() == {ROOM: [0, 1]})
    assert receiver.attempts == 1
    receiver.answer = 204
    await writer.subscriptions.update_one(
        {"_id": "urn:s:1"}, {"$set": {"subscription.isActive": True, "modifiedAt": now()}}
    )
    await until(lambda: receiver.received)
    room, change = updated(room, "r2", temperature=2)
    await writer.write((room, [change]))
    await until(lambda: receiver.values()[ROOM][-1] == 2)
    assert receiver.values()[ROOM] in ([0, 2], [0, 1, 2])
    await until(lambda: _has_no(writer, "ended"))


async def test_a_410_ends_a_throttled_one_too(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=410)
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, throttling=0.1)
    await writer.write(created(entity(ROOM, temperature=0)))
    await until(lambda: _is_active(writer, expected=False))
    assert receiver.attempts == 1


async def test_a_paused_subscription_keeps_its_backlog(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=503)
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    await writer.write(created(entity(ROOM, temperature=0)))
    await until(lambda: receiver.attempts >= 2)
    for is_active in (False, True):
        await writer.subscriptions.update_one(
            {"_id": "urn:s:1"}, {"$set": {"subscription.isActive": is_active, "modifiedAt": now()}}
        )
        if not is_active:
            receiver.answer = 204
    await until(lambda: receiver.values() == {ROOM: [0]})


async def test_a_cooldown_is_kept_also_by_fresh_notifications(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=400)
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, endpoint={"cooldown": 1000})
    await writer.write(created(entity(ROOM, temperature=0)))
    await until(lambda: receiver.attempts)
    await writer.write(created(entity("urn:ngsi-ld:Room:2", temperature=0)))
    await until(lambda: receiver.attempts >= 3)
    assert gaps_s(receiver)[0] >= 0.99
    assert (await writer.counters("urn:s:1"))["attempts"][0]["code"] == 400


async def test_a_pause_that_a_receiver_was_granted_holds_over_a_restart(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await writer.subscribe("urn:s:1", receiver.uri)
    until_at = datetime.now(UTC) + timedelta(seconds=3)
    granted = {"delivery.consecutiveFailures": 3, "delivery.nextAttemptAt": system_text(until_at)}
    await writer.subscriptions.update_one({"_id": "urn:s:1"}, {"$set": granted})
    await start_notifier()
    await writer.write(created(entity(ROOM, temperature=0)))
    await until(lambda: receiver.received)
    assert datetime.now(UTC) >= until_at - timedelta(milliseconds=50)
    await until(lambda: _has_no(writer, "nextAttemptAt"))


async def test_what_a_deleted_subscription_held_is_gone(
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
    await writer.subscriptions.delete_one({"_id": "urn:s:1"})
    await writer.subscribe("urn:s:2", receiver.uri)
    room, change = updated(room, "r2", temperature=2)
    await writer.write((room, [change]))
    await until(lambda: receiver.received[-1]["subscriptionId"] == "urn:s:2")
    assert await writer.deliveries.count_documents({"subscription": "urn:s:1"}) == 0


async def test_each_attempt_is_written_down(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=503)
    await start_notifier(retry_cap_s=0.02)
    await writer.subscribe("urn:s:1", receiver.uri)
    room = entity(ROOM, temperature=0)
    await writer.write(created(room))
    await until(lambda: receiver.attempts >= 3)
    receiver.answer = 201
    await until(lambda: receiver.received)
    attempts = await until(lambda: _last_attempts(writer, code=201))
    assert {attempt.get("code") for attempt in attempts[:-1]} == {503}
    assert attempts[0]["error"] == "answer 503 Service Unavailable"
    assert attempts[-1]["entities"] == 1
    assert attempts[-1]["ms"] > 0
    assert "error" not in attempts[-1]
    for value in range(1, 40):
        room, change = updated(room, f"r{value}", temperature=value)
        await writer.write((room, [change]))
    await until(lambda: len(receiver.received) == 40)
    await until(lambda: _is_sent(writer, receiver.attempts))
    assert len((await writer.counters("urn:s:1"))["attempts"]) == 20


async def _is_active(writer: Writer, *, expected: bool) -> bool:
    found = await writer.subscriptions.find_one({"_id": "urn:s:1"})
    assert found is not None
    return found["subscription"].get("isActive", True) is expected


async def _has_no(writer: Writer, member: str) -> bool:
    return member not in await writer.counters("urn:s:1")


async def _is_sent(writer: Writer, count: int) -> bool:
    return bool((await writer.counters("urn:s:1"))["timesSent"] == count)


async def _last_attempts(writer: Writer, code: int) -> list[dict[str, Any]]:
    attempts: list[dict[str, Any]] = (await writer.counters("urn:s:1")).get("attempts", [])
    return attempts if attempts and attempts[-1].get("code") == code else []
