"""Many writes at once: in parts, and the answer still tells which of them failed."""

import pytest

from broker.errors import WriteConflict
from broker.storage.base import Write
from broker.storage.mongo import MongoStorage
from ngsi.changes import Change
from ngsi.entity import Entity
from ngsi.errors import BadRequestData
from tests.broker.lossy_link import lossy_link

NOW = "2026-03-02T12:00:00.000Z"


def written(number: int, rev: int = 0, value: object = 1, request: str = "r") -> Write:
    name = f"urn:ngsi-ld:Room:{number}"
    entity = Entity(name, ["Room"], NOW, NOW, {"a": [{"type": "Property", "value": value}]})
    return Write(name, rev, entity, [Change(request, NOW, "created")])


@pytest.mark.parametrize("count", [1, 256, 257, 600])
async def test_what_fails_is_told_by_its_index(mongo: str, count: int) -> None:
    storage = MongoStorage(mongo, f"write{count}", timeout_s=5, query_timeout_s=5)
    await storage.create_tenant("", NOW)
    store = storage.entities("")
    assert await store.write([written(number) for number in range(count)]) == {}
    wrong = {0, count // 2, count - 1}
    failures = await store.write([written(number, 0 if number in wrong else 1, "next") for number in range(count)])
    assert set(failures) == wrong
    assert all(isinstance(error, WriteConflict) for error in failures.values())
    found = await store.read([f"urn:ngsi-ld:Room:{number}" for number in range(count)])
    assert {stored.rev for stored in found.values()} <= {1, 2}
    assert sum(stored.rev == 2 for stored in found.values()) == count - len(wrong)
    await storage.close()


async def test_a_write_whose_answer_is_lost_is_found_to_be_there(mongo: str) -> None:
    async with lossy_link(mongo) as link:
        storage = MongoStorage(link.uri, "lossy", timeout_s=5, query_timeout_s=5)
        await storage.create_tenant("", NOW)
        store = storage.entities("")
        assert await store.write([written(1)]) == {}
        link.lose_answer_to = b"updates\0"
        assert set(await store.write([written(1, value="late", request="another"), written(2)])) == {0}
        assert link.lost_count == 1
        found = await store.read(["urn:ngsi-ld:Room:1", "urn:ngsi-ld:Room:2"])
        assert {entity_id: stored.rev for entity_id, stored in found.items()} == {
            "urn:ngsi-ld:Room:1": 1,
            "urn:ngsi-ld:Room:2": 1,
        }
        await storage.close()


async def test_a_write_whose_answer_is_lost_and_that_another_has_overwritten_came_too_late(mongo: str) -> None:
    async with lossy_link(mongo) as link:
        storage = MongoStorage(link.uri, "overtaken", timeout_s=5, query_timeout_s=5)
        await storage.create_tenant("", NOW)
        other = MongoStorage(mongo, "overtaken", timeout_s=5, query_timeout_s=5)
        link.before_loss = lambda: other.entities("").write([written(1, rev=1, value="newer")])
        link.lose_answer_to = b"updates\0"
        failures = await storage.entities("").write([written(1)])
        assert isinstance(failures[0], WriteConflict)
        (stored,) = (await storage.entities("").read(["urn:ngsi-ld:Room:1"])).values()
        assert stored.entity is not None
        assert stored.entity.attributes["a"][0]["value"] == "newer"
        await other.close()
        await storage.close()


async def test_what_cannot_be_stored_costs_the_others_nothing(mongo: str) -> None:
    storage = MongoStorage(mongo, "unstorable", timeout_s=5, query_timeout_s=5)
    await storage.create_tenant("", NOW)
    store = storage.entities("")
    writes = [written(number) for number in range(8)]
    writes[3] = written(3, value="x" * 17_000_000)
    writes[6] = written(6, value="x" * (16 * 1024 * 1024 - 100))  # a message of this size goes out, a document does not
    failures = await store.write(writes)
    assert {index: type(error) for index, error in failures.items()} == {3: BadRequestData, 6: BadRequestData}
    assert len(await store.read([write.id for write in writes])) == 6
    await storage.close()
