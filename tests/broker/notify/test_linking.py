"""Linked entities for the subscriptions that look at them: read together, each once, until the storage answers."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from broker.contexts import Contexts
from broker.errors import StorageUnavailable
from broker.notify import linking as linking_module
from broker.notify.linking import Linking
from broker.notify.settings import DeliverySettings
from broker.notify.state import State
from broker.notify.subscriber import Subscriber, subscriber
from ngsi import patch, subscription
from ngsi.changes import Change
from ngsi.context import CORE
from ngsi.document import read_entity
from ngsi.entity import Entity
from ngsi.vocabulary import CORE_CONTEXT_URL
from tests.waiting import until

AT = "2026-03-01T08:00:00.000Z"
HOUSE, CITY = "urn:ngsi-ld:House:1", "urn:ngsi-ld:City:1"


def made(entity_id: str, **attributes: Any) -> Entity:
    entity = patch.upsert(read_entity({"id": entity_id, "type": "T", **attributes}, CORE), None, AT).entity
    assert entity is not None
    return entity


def subscribed(name: str, *, q: str | None = None, **parameters: Any) -> Subscriber:
    notification = {"endpoint": {"uri": "http://127.0.0.1:1/"}, **parameters}
    body: dict[str, Any] = {"type": "Subscription", "entities": [{"type": "*"}], "notification": notification}
    if q is not None:
        body["q"] = q
    document = subscription.parse(body, CORE, AT).document(name, CORE_CONTEXT_URL, AT)
    found = subscriber("", document, Contexts({}), DeliverySettings(), None)
    assert found is not None
    return found


def in_house(number: int, house: str) -> State:
    entity = made(f"urn:ngsi-ld:Room:{number}", house={"type": "Relationship", "object": house})
    return State(entity, Change("r", AT, "created"), f"{number:020x}")


class Storage:
    """Entities by id, and what was asked for."""

    def __init__(self, *entities: Entity, failures: int = 0) -> None:
        self.entities = {entity.id: entity for entity in entities}
        self.failures = failures
        self.asked: list[list[str]] = []

    async def read(self, tenant: str, ids: Sequence[str]) -> dict[str, Entity]:
        self.asked.append(sorted(ids))
        if len(self.asked) <= self.failures:
            raise StorageUnavailable("MongoDB does not answer")
        return {entity_id: self.entities[entity_id] for entity_id in ids if entity_id in self.entities}


async def test_what_a_batch_needs_is_read_once_until_the_storage_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking_module, "_RETRY_S", 0.01)
    storage = Storage(made(HOUSE, storeys=3), failures=2)
    linking = Linking(storage.read)
    wishes: list[dict[str, Any]] = [{}, {"join": "flat"}, {"join": "inline"}]
    told = [subscribed(f"urn:s:{number}", q="house{storeys}==3", **wish) for number, wish in enumerate(wishes)]
    states = [in_house(number, HOUSE if number % 2 else CITY) for number in range(4)]
    for item in states:
        for receiver in told:
            condition = receiver.criteria.condition
            assert condition is not None
            assert condition(item.entity)
            linking.add(receiver, item)
    assert await linking.settled() == [(receiver, item) for item in states[1::2] for receiver in told]
    assert storage.asked == [[CITY, HOUSE]] * 3
    assert [list(states[1].linked(receiver)) for receiver in told] == [[], [HOUSE], []]
    assert "entity" in orjson.loads(states[1].shown(told[2]))["house"]
    assert len(linking) == 0


async def test_an_entity_with_too_much_around_it_is_told_alone() -> None:
    storage = Storage(made(HOUSE, plan="x" * 4_000_000))
    linking = Linking(storage.read)
    receiver, item = subscribed("urn:s:1", join="inline"), in_house(1, HOUSE)
    linking.add(receiver, item)
    assert await linking.settled() == [(receiver, item)]
    assert "entity" not in orjson.loads(item.shown(receiver))["house"]


async def test_who_stops_waiting_leaves_nothing_behind() -> None:
    storage = Storage(failures=1_000_000)
    linking = Linking(storage.read)
    linking.add(subscribed("urn:s:1", join="flat"), in_house(1, HOUSE))
    waiting = asyncio.create_task(linking.settled())
    await until(lambda: storage.asked)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await until(lambda: not [task for task in asyncio.all_tasks() if "_Fetched" in repr(task.get_coro())])
