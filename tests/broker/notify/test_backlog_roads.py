"""How a backlog is sent: in order whatever receivers do, past nobody who need not wait, only the newest if wanted."""

import asyncio
from random import Random

import orjson
import pytest
from aiohttp import web

from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.receiver import Receiver
from tests.broker.notify.test_delivery_faults import write_rounds
from tests.broker.notify.writer import Writer, created, entity, updated
from tests.waiting import until

ROOMS = [f"urn:ngsi-ld:Room:{number}" for number in range(8)]
NEWEST = {"notifierInfo": [{"key": "Backlog", "value": "newest"}]}


class Moody(Receiver):
    """Answers as a seeded die says, and takes its time."""

    def let_loose(self, seed: int) -> None:
        self.die = Random(seed)

    async def _notified(self, request: web.Request) -> web.Response:
        self.answer = self.die.choices((204, 503, 400), (8, 1, 1))[0]
        self.delay_s = 0 if self.answer != 204 else self.die.choice((0, 0, 0.005, 0.03))
        return await super()._notified(request)


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_is_lost_or_out_of_order_whatever_a_receiver_answers(
    writer: Writer, start_notifier: StartNotifier, free_port: object, seed: int
) -> None:
    assert callable(free_port)
    receiver = Moody(free_port())
    receiver.let_loose(seed)
    await receiver.start()
    await start_notifier(queue_count=20, retry_cap_s=0.03)
    await writer.subscribe("urn:s:1", receiver.uri)
    die = Random(seed)
    rooms = {room: entity(room, temperature=0) for room in ROOMS}
    await writer.write(*(created(room) for room in rooms.values()))
    counts = dict.fromkeys(ROOMS, 0)
    for number in range(150):
        changed = die.sample(ROOMS, die.randint(1, 4))
        for room in changed:
            counts[room] += 1
            rooms[room], change = updated(rooms[room], f"r{number}-{room}", temperature=counts[room])
            await writer.write((rooms[room], [change]))
        if die.random() < 0.1:
            await asyncio.sleep(die.random() / 5)  # lets backlogs run empty now and then
    expected = {room: list(range(count + 1)) for room, count in counts.items()}
    await until(lambda: receiver.values() == expected, within_s=30)
    await until(lambda: _is_empty(writer))
    await receiver.stop()


async def test_after_an_outage_fresh_notifications_do_not_queue_behind_the_backlog(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=503)
    await start_notifier(in_flight_count=2)
    await writer.subscribe("urn:s:1", receiver.uri)
    rooms = [entity(room, temperature=0) for room in ROOMS]
    await writer.write(*(created(room) for room in rooms))
    await write_rounds(writer, rooms, 1, 30)
    await until(lambda: _waiting(writer, 31 * len(ROOMS)))
    receiver.delay_s, receiver.answer = 0.02, 204
    await until(lambda: len(receiver.received) > 2)
    fresh = "urn:ngsi-ld:Room:fresh"
    await writer.write(created(entity(fresh, temperature=0)))
    await until(lambda: fresh in receiver.values())
    assert len(receiver.received) < 31 * len(ROOMS) / 2
    last = "urn:ngsi-ld:Room:0"
    state, change = updated(entity(last, temperature=0), "behind", temperature=31)
    await writer.write((state, [change]))
    await until(lambda: receiver.values().get(last, [])[-1:] == [31])
    assert receiver.values()[last] == list(range(32))


async def test_only_the_newest_states_are_sent_after_an_outage_where_that_is_wanted(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=503)
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, endpoint=NEWEST)
    rooms = [entity(room, temperature=0) for room in ROOMS]
    await writer.write(*(created(room) for room in rooms))
    await write_rounds(writer, rooms, 1, 20)
    await until(lambda: _waiting_values(writer, [20] * len(ROOMS)))
    receiver.answer = 204
    await until(lambda: receiver.values() == {room: [20] for room in ROOMS})
    await until(lambda: _is_empty(writer))
    room, change = updated(rooms[0], "r", temperature=21)
    await writer.write((room, [change]))
    await until(lambda: receiver.values()[ROOMS[0]] == [20, 21])


async def _waiting(writer: Writer, count: int) -> bool:
    return await writer.deliveries.count_documents({"state": "pending"}) == count


async def _waiting_values(writer: Writer, values: list[int]) -> bool:
    rows = await writer.deliveries.find({"state": "pending"}).to_list()
    return [item["temperature"]["value"] for row in rows for item in orjson.loads(row["body"])["data"]] == values


async def _is_empty(writer: Writer) -> bool:
    return not await writer.deliveries.count_documents({})
