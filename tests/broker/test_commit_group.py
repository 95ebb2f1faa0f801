"""What changes carry for subscribers: how many of them the request makes, and the values that they overwrote."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient

from broker.commit import Committer
from broker.commit_group import Group, apply, count_parts
from broker.commit_queue import Pending
from broker.commit_ticket import Ticket
from broker.errors import StorageUnavailable
from broker.storage.base import Stored, Write
from broker.storage.mongo_entities import MongoEntityStore
from ngsi import patch
from ngsi.context import CORE
from ngsi.document import read_entity
from ngsi.entity import Entity
from ngsi.errors import NgsiError

AT = "2026-03-01T08:00:00.000Z"


def upsert(number: int, value: int) -> patch.Patch:
    body = {"id": f"urn:x:{number}", "type": "T", "a": value}
    return partial(patch.upsert, read_entity(body, CORE))


def stored(number: int) -> Entity:
    entity = upsert(number, 0)(None, AT).entity
    assert entity is not None
    return entity


def flushed(ticket: Ticket, *numbered: tuple[int, int]) -> list[Group]:
    """A flush of upserts of these values over entities that have 0."""
    groups = []
    for number, value in numbered:
        pending = Pending(f"urn:x:{number}", upsert(number, value), ticket, number, False)
        groups.append(Group(Stored(stored(number), 1), True, [pending]))
        apply(groups[-1], AT)
    count_parts(groups)
    return groups


@given(st.lists(st.integers(0, 1), min_size=1, max_size=12), st.integers(1, 12))
async def test_the_last_flush_of_a_request_knows_how_many_changes_it_makes(values: list[int], at_once: int) -> None:
    ticket = Ticket("r", len(values))
    numbered = list(enumerate(values))
    flushes = [flushed(ticket, *numbered[start : start + at_once]) for start in range(0, len(values), at_once)]
    told: list[list[Any]] = [[change.parts for group in flush for change in group.changes] for flush in flushes]
    assert sum(map(len, told)) == sum(values)
    assert all(parts >= sum(values) for flush in told for parts in flush)
    if told[-1]:
        assert min(parts for flush in told for parts in flush) == sum(values)


async def test_a_patch_that_is_applied_anew_counts_by_its_last_outcome() -> None:
    ticket = Ticket("r", 2)
    flushed(ticket, (0, 0), (1, 1))
    assert ticket.effects_count == 1
    (group,) = flushed(ticket, (0, 5))
    assert group.changes[0].parts == 2


async def test_a_large_value_is_replaced_by_another_although_both_fit_no_document(mongo: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        collection = client.large_values.entities
        store = MongoEntityStore(collection, None, 10_000)
        committer = Committer(store, lambda: AT, queue_count=10, flush_count=10, cache_bytes=100_000_000)
        for letter in "ab":
            body = {"id": "urn:x:1", "type": "T", "a": letter * 9_000_000}
            await committer.submit("urn:x:1", partial(patch.upsert, read_entity(body, CORE)), letter)
        found = await collection.find_one({"_id": "urn:x:1"})
        assert found is not None
        assert found["attrs"]["a"][0]["value"][0] == "b"
        assert "previous" not in found["changes"][0]
        await client.drop_database("large_values")


class Interrupted(MongoEntityStore):
    """A store that does not answer the first write."""

    is_away = True

    async def write(self, writes: Sequence[Write]) -> dict[int, NgsiError]:
        if self.is_away:
            self.is_away = False
            raise StorageUnavailable("MongoDB does not answer")
        return await super().write(writes)


async def test_what_follows_a_failed_patch_of_the_same_request_and_entity_fails_too(mongo: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        store = Interrupted(client.interrupted.entities, None, 10_000)
        committer = Committer(store, lambda: AT, queue_count=10, flush_count=2, cache_bytes=1_000_000)
        patches = [(f"urn:x:{number}", upsert(number, value)) for number, value in ((1, 1), (2, 1), (1, 2), (3, 1))]
        outcomes = await committer.submit_all(patches, "request")
        failed = [isinstance(outcome, NgsiError) for outcome in outcomes]
        assert failed == [True, True, True, False], "1 must not have its second value without its first"
        assert [entity["_id"] async for entity in client.interrupted.entities.find()] == ["urn:x:3"]
        again = await committer.submit_all(patches, "request again")
        assert not any(isinstance(outcome, NgsiError) for outcome in again)
        await client.drop_database("interrupted")
