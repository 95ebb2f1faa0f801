"""A subscription that is changed while the notifier serves it."""

import asyncio

import pytest

from broker.notify.service import running_notifier
from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from ngsi.entity import Entity
from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.writer import Writer, created, entity, updated
from tests.waiting import until

ROOM = "urn:ngsi-ld:Room:1"


class Room:
    """One entity whose temperature is written again and again."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._state: Entity | None = None

    async def warm_to(self, temperature: int) -> None:
        if self._state is None:
            self._state, changes = created(entity(ROOM, temperature=temperature))
        else:
            self._state, change = updated(self._state, f"r{temperature}", temperature=temperature)
            changes = [change]
        await self._writer.write((self._state, changes))


@pytest.mark.clause("5.8.2")
async def test_a_change_takes_effect_for_what_is_written_after_it(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    changed, witness = await start_receiver(), await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:changed", changed.uri)
    await writer.subscribe("urn:s:witness", witness.uri)
    room = Room(writer)
    await room.warm_to(1)
    await writer.change("urn:s:changed", q="temperature>2")
    await room.warm_to(2)
    await room.warm_to(3)
    await writer.change("urn:s:changed", q=None)
    await room.warm_to(0)
    await until(lambda: witness.values() == {ROOM: [1, 2, 3, 0]})
    await until(lambda: changed.values() == {ROOM: [1, 3, 0]})


async def test_a_paused_subscription_is_told_nothing_and_goes_on_when_it_is_resumed(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    paused, witness = await start_receiver(), await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:paused", paused.uri)
    await writer.subscribe("urn:s:witness", witness.uri)
    room = Room(writer)
    await room.warm_to(1)
    await until(lambda: paused.received)
    await writer.change("urn:s:paused", isActive=False)
    await room.warm_to(2)
    await until(lambda: witness.values() == {ROOM: [1, 2]})
    await writer.change("urn:s:paused", isActive=True)
    await room.warm_to(3)
    await until(lambda: paused.values() == {ROOM: [1, 3]})


async def test_a_new_endpoint_gets_what_comes_next(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    former, new = await start_receiver(), await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", former.uri)
    room = Room(writer)
    await room.warm_to(1)
    await until(lambda: former.received)
    await writer.change("urn:s:1", notification={"format": "keyValues", "endpoint": {"uri": new.uri}})
    await room.warm_to(2)
    await until(lambda: new.received)
    assert [item["data"][0]["temperature"] for item in new.received] == [2]
    assert former.values() == {ROOM: [1]}
    await until(lambda: writer_counts(writer, 2))


async def writer_counts(writer: Writer, sent_count: int) -> bool:
    return bool((await writer.counters("urn:s:1")).get("timesSent") == sent_count)


async def test_what_happened_in_a_pause_is_not_told_by_a_notifier_that_was_away(
    mongo: str, prefix: str, writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver, witness = await start_receiver(), await start_receiver()
    await writer.subscribe("urn:s:paused", receiver.uri)
    await writer.subscribe("urn:s:witness", witness.uri)
    room = Room(writer)
    async with running_notifier(Settings(mongodb_uri=mongo, database=prefix), DeliverySettings()) as running:
        await until(lambda: not any(running.checks().values()))
        await room.warm_to(1)
        await until(lambda: receiver.received and witness.received)
    await writer.change("urn:s:paused", isActive=False)
    await room.warm_to(2)
    await asyncio.sleep(0.002)  # system timestamps have milliseconds
    await writer.change("urn:s:paused", isActive=True)
    await room.warm_to(3)
    await start_notifier()
    await until(lambda: witness.values() == {ROOM: [1, 2, 3]})
    await until(lambda: receiver.values() == {ROOM: [1, 3]})
