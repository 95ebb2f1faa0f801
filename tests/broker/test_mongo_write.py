"""Many writes at once: in parts, and the answer still tells which of them failed."""

import pytest

from broker.errors import WriteConflict
from broker.storage.base import Write
from broker.storage.mongo import MongoStorage
from ngsi.changes import Change
from ngsi.entity import Entity

NOW = "2026-03-02T12:00:00.000Z"


def written(number: int, rev: int = 0, value: object = 1) -> Write:
    name = f"urn:ngsi-ld:Room:{number}"
    entity = Entity(name, ["Room"], NOW, NOW, {"a": [{"type": "Property", "value": value}]})
    return Write(name, rev, entity, [Change("r", NOW, "created")])


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
