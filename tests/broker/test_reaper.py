"""What has expired is deleted, once, by one process at a time (clause 4.22)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient

from broker.reaper import Reaper
from broker.settings import Settings
from broker.storage.mongo import MongoStorage
from broker.tenants import Tenants
from ngsi.context import CORE
from ngsi.document import read_entity
from ngsi.patch import create

BEFORE, AFTER = "2026-03-01T08:00:00.000Z", "2026-03-01T08:00:10.000Z"


class Process:
    """What a context API process has for this, with a clock that is set by hand."""

    def __init__(self, uri: str, database: str) -> None:
        self.now = BEFORE
        self.database = database
        self.storage = MongoStorage(uri, database, timeout_s=5, query_timeout_s=5)
        self.tenants = Tenants(self.storage, Settings(), lambda: self.now)
        self.reaper = Reaper(self.storage, self.tenants, lambda: self.now)

    async def close(self) -> None:
        await self.tenants.close()
        await self.storage.close()


@pytest.fixture
async def processes(mongo: str) -> AsyncIterator[list[Process]]:
    database = f"reap{uuid4().hex[:8]}"
    made = [Process(mongo, database) for _ in range(3)]
    yield made
    for process in made:
        await process.close()
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        for name in await client.list_database_names():
            if name.startswith(database):
                await client.drop_database(name)


async def fill(process: Process, tenant: str, count: int) -> list[str]:
    served = await process.tenants.get(tenant, create=True)
    ids = [f"urn:x:{number:04}" for number in range(count)]
    for known in ids:
        body = {"id": known, "type": "T", "expiresAt": "2026-03-01T08:00:05Z", "a": 1}
        fragment = read_entity(body, CORE)
        await served.committer.submit(known, lambda entity, now, fragment=fragment: create(fragment, entity, now), "r")  # type: ignore[misc]  # a default argument binds the loop variable
    return ids


@pytest.mark.clause("4.22")
async def test_every_tenant_is_looked_through(processes: list[Process]) -> None:
    process = processes[0]
    for tenant in ("", "one", "two"):
        await fill(process, tenant, 3)
    assert await process.reaper.reap() == 0
    process.now = AFTER
    assert await process.reaper.reap() == 9
    assert await process.reaper.reap() == 0
    for tenant in ("", "one", "two"):
        stored = await process.storage.entities(tenant).read(["urn:x:0000"])
        assert (stored["urn:x:0000"].entity, stored["urn:x:0000"].rev) == (None, 2)


@pytest.mark.clause("4.22")
async def test_processes_do_not_delete_twice(processes: list[Process]) -> None:
    ids = await fill(processes[0], "", 40)
    for process in processes:
        process.now = AFTER
    await asyncio.gather(*(process.reaper.reap() for process in processes))
    stored = await processes[0].storage.entities("").read(ids)
    assert {(item.entity is None, item.rev) for item in stored.values()} == {(True, 2)}


@pytest.mark.clause("4.22")
async def test_the_loss_of_an_attribute_is_a_change_like_any_other(processes: list[Process], mongo: str) -> None:
    process = processes[0]
    served = await process.tenants.get("", create=True)
    body = {"id": "urn:x:1", "type": "T", "a": {"value": 1, "expiresAt": "2026-03-01T08:00:05Z"}, "b": 2}
    fragment = read_entity(body, CORE)
    await served.committer.submit("urn:x:1", lambda entity, now: create(fragment, entity, now), "r")
    process.now = AFTER
    assert await process.reaper.reap() == 1
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        document = await client[process.database]["entities"].find_one({"_id": "urn:x:1"})
    assert document is not None
    assert (list(document["attrs"]), "due" in document, document["modifiedAt"]) == (["b"], False, AFTER)
    (change,) = document["changes"]
    assert (change["event"], change["attributes"]) == ("updated", [["deleted", "a", "@none"]])
    assert change["before"]["attrs"]["a"][0]["value"] == 1
    assert change["request"].startswith("reaper-")


async def test_a_lease_is_held_by_one_and_passes_on(processes: list[Process]) -> None:
    first, second = processes[0].storage, processes[1].storage
    assert await first.hold("work", "a", 0.2)
    assert await first.hold("work", "a", 0.2)
    assert not await second.hold("work", "b", 0.2)
    assert await second.hold("other work", "b", 0.2)
    await asyncio.sleep(0.25)  # the passing of time itself is what is tested
    assert await second.hold("work", "b", 5)
    assert not await first.hold("work", "a", 5)
