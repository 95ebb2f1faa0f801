"""What is held back or due outlives the death of the notifier, and comes once."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ngsi.datetimes import system_text
from tests.broker.notify.conftest import StartReceiver
from tests.broker.notify.notifier_process import notifier_process
from tests.broker.notify.test_throttling import gaps_s, is_held
from tests.broker.notify.writer import Writer, created, entity, updated
from tests.waiting import until

ROOM = "urn:ngsi-ld:Room:1"


async def test_held_states_and_due_times_outlive_the_death_of_the_notifier(
    mongo: str, prefix: str, writer: Writer, start_receiver: StartReceiver, free_port: Callable[[], int]
) -> None:
    throttled, periodic = await start_receiver(), await start_receiver()
    await writer.subscribe("urn:s:throttled", throttled.uri, throttling=4)
    await writer.subscribe("urn:s:periodic", periodic.uri, timeInterval=60)
    overdue = system_text(datetime.now(UTC) - timedelta(seconds=200))
    await writer.subscriptions.update_one({"_id": "urn:s:periodic"}, {"$set": {"delivery.due": overdue}})
    room = entity(ROOM, temperature=0)
    await writer.write(created(room))
    async with notifier_process(mongo, prefix, free_port()) as process:
        room, change = updated(room, "r1", temperature=1)
        await writer.write((room, [change]))
        await until(lambda: throttled.received)
        room, change = updated(room, "r2", temperature=2)
        await writer.write((room, [change]))
        await until(lambda: is_held(writer, 1))
        await until(lambda: periodic.received)
        due = await until(lambda: _due(writer, other_than=overdue))
        process.send_signal(signal.SIGKILL)
        process.wait()
    left_s = (datetime.fromisoformat(due) - datetime.now(UTC)).total_seconds()
    assert 30 < left_s < 40, "on the grid of the interval"
    room, change = updated(room, "r3", temperature=3)
    await writer.write((room, [change]))
    async with notifier_process(mongo, prefix, free_port()):
        await until(lambda: len(throttled.received) >= 2)
        assert throttled.values() == {ROOM: [1, 3]}
        assert gaps_s(throttled)[0] >= 3.9
        await until(lambda: is_held(writer, 0))
    assert len(periodic.received) == 1


async def _due(writer: Writer, other_than: str) -> str:
    due: str = (await writer.counters("urn:s:periodic")).get("due", "")
    return "" if due == other_than else due
