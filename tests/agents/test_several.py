"""Several agents on one MQTT broker and one MongoDB: shares, takeover, and one that wakes up late."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from agents.membership import Membership
from agents.metrics import Metrics
from agents.mqtt import Southbound
from agents.sessions import Sessions
from agents.storage.mongo_connection import MongoConnection
from agents.storage.mongo_slots import MongoSlots
from tests.agents.receiver import Receiver
from tests.agents.test_agent import COMMAND, command_environment, first_occurrences, measures, running, send, settings
from tests.end_to_end.city import is_ready
from tests.end_to_end.process import Process
from tests.waiting import until

DEVICES = [f"several-{number}" for number in range(6)]
TAKEN_OVER_WITHIN_S = 10


class Agents:
    """Agent processes that share two slots."""

    def __init__(self, environment: dict[str, str], folder: Path, free_port: Callable[[], int]) -> None:
        self._environment = environment
        self._folder = folder
        self._free_port = free_port
        self.all: list[Process] = []

    def start(self) -> Process:
        port = self._free_port()
        environment = self._environment | {"MEDINA_AGENT_PORT": str(port)}
        agent = Process(f"agent-{len(self.all)}", COMMAND, environment, self._folder, lambda: is_ready(port))
        self.all.append(agent)
        agent.start()
        return agent

    def holders(self) -> set[str | None]:
        with MongoClient[dict[str, dict[str, str | None]]](self._environment["MONGODB_URI"]) as client:
            database = client[f"{self._environment['MEDINA_DATABASE']}-agents"]
            found = database["slots"].find_one() or {}
            return set(found.get("holders", {}).values())


@pytest.fixture
def agents(
    mongo: str,
    mqtt_url: str,
    receiver: Receiver,
    tmp_path: Path,
    free_port: Callable[[], int],
    request: pytest.FixtureRequest,
) -> Iterator[Agents]:
    database = f"several{abs(hash(request.node.name)) % 10_000}"
    environment = command_environment(mqtt_url, receiver.url, 0) | {
        "MONGODB_URI": mongo,
        "MEDINA_DATABASE": database,
        "MEDINA_AGENT_SLOTS": "2",
    }
    made = Agents(environment, tmp_path, free_port)
    yield made
    for agent in made.all:
        if agent.alive:
            agent.wake()
        agent.end()


def sent(numbers: range) -> list[tuple[str, bytes]]:
    return [message for number in numbers for device in DEVICES for message in measures(device, number)]


def arrived(receiver: Receiver) -> dict[str, list[int]]:
    return {device: receiver.values("n", f"urn:ngsi-ld:Pump:{device}") for device in DEVICES}


def has_all(receiver: Receiver, count: int) -> bool:
    return all(first_occurrences(values) == list(range(count)) for values in arrived(receiver).values())


async def test_two_share_and_one_takes_over_what_the_other_leaves(
    agents: Agents, mqtt_url: str, receiver: Receiver
) -> None:
    first = await asyncio.to_thread(agents.start)
    await until(lambda: len(agents.holders()) == 1 and None not in agents.holders())
    await send(mqtt_url, *sent(range(10)))
    await until(lambda: has_all(receiver, 10))
    second = await asyncio.to_thread(agents.start)
    await until(lambda: len(agents.holders()) == 2 and None not in agents.holders())
    await send(mqtt_url, *sent(range(10, 20)))
    await until(lambda: has_all(receiver, 20))
    assert await asyncio.to_thread(first.stop) == 0
    await send(mqtt_url, *sent(range(20, 30)))
    await until(lambda: has_all(receiver, 30))
    third = await asyncio.to_thread(agents.start)
    await until(lambda: len(agents.holders()) == 2 and None not in agents.holders())
    second.kill()
    killed_at_s = time.monotonic()
    await send(mqtt_url, *sent(range(30, 40)))
    await until(lambda: has_all(receiver, 40))
    assert time.monotonic() - killed_at_s < TAKEN_OVER_WITHIN_S
    assert await asyncio.to_thread(third.stop) == 0
    assert all("Traceback" not in agent.log.read_text(encoding="utf-8") for agent in agents.all)
    assert arrived(receiver) == {device: list(range(40)) for device in DEVICES}, "each was sent on once"


async def test_who_slept_through_its_lease_does_no_harm(agents: Agents, mqtt_url: str, receiver: Receiver) -> None:
    first = await asyncio.to_thread(agents.start)
    await send(mqtt_url, *sent(range(5)))
    await until(lambda: has_all(receiver, 5))
    first.pause()
    await asyncio.to_thread(agents.start)
    await send(mqtt_url, *sent(range(5, 15)))
    await until(lambda: has_all(receiver, 15), within_s=TAKEN_OVER_WITHIN_S)
    first.wake()
    await send(mqtt_url, *sent(range(15, 25)))
    await until(lambda: has_all(receiver, 25))
    await until(lambda: len(agents.holders()) == 2 and None not in agents.holders())
    await send(mqtt_url, *sent(range(25, 30)))
    await until(lambda: has_all(receiver, 30))


async def test_what_was_committed_but_not_acknowledged_is_not_stored_again(
    agents: Agents, mqtt_url: str, receiver: Receiver
) -> None:
    """The second agent gives the stamps that the first one gave: a context broker that keeps newer values has them."""
    first = await asyncio.to_thread(agents.start)
    receiver.open.clear()
    await send(mqtt_url, *measures(DEVICES[0], 0, 1, 2))
    await until(lambda: receiver.asked)
    first.kill()
    receiver.open.set()
    await asyncio.to_thread(agents.start)
    first_values = {entity["n"]["value"] for entity in receiver.asked[0]}

    def asked() -> list[tuple[int, str]]:
        return [(entity["n"]["value"], entity["n"]["observedAt"]) for batch in receiver.asked for entity in batch]

    def asked_twice() -> list[tuple[int, str]]:
        return [time for time in asked() if time[0] in first_values]

    await until(lambda: len({value for value, _ in asked()}) == 3 and len(asked_twice()) > len(first_values))
    assert len(asked_twice()) == 2 * len(first_values)
    assert len(set(asked_twice())) == len(first_values), "the same times"


async def test_another_number_of_slots_is_refused_and_disturbs_nobody(
    mongo: str, mqtt_url: str, receiver: Receiver
) -> None:
    one = settings(mqtt_url, receiver.url, mongodb_uri=mongo, database="opinions", agent_slots=2)
    connection = MongoConnection(mongo, "opinions", 5)
    store = MongoSlots(connection, one.mqtt_client_id, 3)
    async with running(one):
        other = Membership(store, Sessions(no_session, 3), 1)
        running_other = asyncio.create_task(other.run())
        await until(lambda: "divided into 2 slots, MEDINA_AGENT_SLOTS says 3" in (other.trouble or ""))
        roll = await store.beat(other.name, 4)
        assert other.name not in (*roll.members, *roll.expired), "or it would be left a share that it does not take"
        running_other.cancel()
        await asyncio.gather(running_other, return_exceptions=True)
        await other.leave()
    assert len((await store.beat("alone", 4)).holders) == 2, "what waits in the sessions is divided by two"
    await connection.close()


def no_session(slot: int) -> Southbound:
    raise AssertionError(f"slot {slot} is opened")


async def test_a_slot_given_away_in_the_middle_of_a_batch_is_not_connected_to_again(mqtt_url: str) -> None:
    """The context broker is away, and who takes the slot over has to have its session in peace."""
    link = settings(mqtt_url, "http://127.0.0.1:9").link()
    made = [Southbound(link, "given-away", ["given/away"], Metrics())]
    sessions = Sessions(lambda _: made[0], 1)

    async def batch_under_way(_: Southbound) -> None:
        await asyncio.Event().wait()

    async def nothing_to_know(_: str) -> None:
        return

    sessions.bind(lambda *_: None, lambda _: None, batch_under_way, nothing_to_know)
    sessions.open(0)
    await until(lambda: made[0].trouble is None)
    (task,) = [task for _, task in sessions._held.values()]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sessions.close(0), 0.1)
    assert task.done()
    assert made[0].trouble == "stopped"
