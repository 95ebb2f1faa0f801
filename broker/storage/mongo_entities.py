"""The collection `entities` of a tenant: states read and written by id, queries handed on (docs/decisions/0002)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bson.errors import InvalidDocument
from pymongo import ASCENDING, IndexModel, ReplaceOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure, PyMongoError

from broker.errors import StorageUnavailable, WriteConflict
from broker.storage import mongo_discovery, mongo_search, mongo_values
from broker.storage import mongo_documents as documents
from broker.storage.base import EntityQuery, EntityStore, Guard, Stored, TypeProfile, Write
from broker.storage.mongo_errors import translated
from broker.turns import Turns
from ngsi.changes import Change, unroll
from ngsi.entity import Entity
from ngsi.errors import BadRequestData, NgsiError
from ngsi.names import show

_TOMBSTONE_LIFE_S = 3600
"""How long a deletion stays in the collection: far longer than a committer trusts its cache, see `commit`."""

_UNREAD = {"changes": 0, "geo": 0, "values": 0}
"""What of a document is for the notifier and the indexes only."""

INDEXES = [
    IndexModel([("type", ASCENDING), ("_id", ASCENDING)], name="type"),
    # Sparse, both: entities without scopes or GeoProperties cost nothing here.
    mongo_values.INDEX,
    IndexModel([("scope", ASCENDING)], name="scope", sparse=True),
    IndexModel([("geo", ASCENDING)], name="geo", sparse=True),
    # Sparse: entities that never expire cost nothing here.
    IndexModel([("due", ASCENDING)], name="due", sparse=True),
    # Sparse: living entities, which have no such field, cost nothing here.
    IndexModel([("gone", ASCENDING)], name="tombstones", sparse=True, expireAfterSeconds=_TOMBSTONE_LIFE_S),
]
"""What every collection `entities` has: an `explain()` of the common queries uses them."""
_BULK_COUNT = 256
"""Writes in one round trip at the most: so many are encoded without a break, in some milliseconds."""
_DUPLICATE_KEY = 11000
_TOO_LARGE_CODES = frozenset({10334, 17280, 17419, 17420})
"""BSONObjectTooLarge, KeyTooLong, and two for a document over 16 MiB."""

_Collection = AsyncCollection[dict[str, Any]]


class MongoEntityStore(EntityStore):
    """The collection `entities` of one tenant."""

    def __init__(self, collection: _Collection, guard: Guard | None, query_timeout_ms: int) -> None:
        self._collection = collection
        self._guard = guard
        self._query_timeout_ms = query_timeout_ms

    async def read(self, ids: Sequence[str]) -> dict[str, Stored]:
        """See EntityStore."""
        condition = {"_id": ids[0]} if len(ids) == 1 else {"_id": {"$in": ids}}
        with translated():
            found = await self._collection.find(condition, {"changes": 0, "geo": 0}).to_list()
        states: dict[str, Stored] = {}
        turns = Turns()
        for item in found:
            states[item["_id"]] = documents.stored(item)
            await turns.take()
        return states

    async def write(self, writes: Sequence[Write]) -> dict[int, NgsiError]:
        """See EntityStore.

        A replace that finds no document of its revision tries to insert one and fails on the id if the entity has
        moved on: so the answer tells exactly which writes came too late, creations and updates alike.
        """
        if self._guard is not None:
            await self._guard()
        if len(writes) <= _BULK_COUNT:
            now = datetime.now(UTC)
            return await self._bulk(writes, [_replacement(write, now) for write in writes])
        return await self._in_parts(writes)

    async def _in_parts(self, writes: Sequence[Write]) -> dict[int, NgsiError]:
        """Many writes as several round trips at the same time: other requests get turns while they are encoded."""
        starts = range(0, len(writes), _BULK_COUNT)
        now = datetime.now(UTC)
        parts: list[asyncio.Task[dict[int, NgsiError]]] = []
        for start in starts:
            part = writes[start : start + _BULK_COUNT]
            operations = [_replacement(write, now) for write in part]
            parts.append(asyncio.create_task(self._bulk(part, operations)))
            await asyncio.sleep(0)
        answers = await asyncio.gather(*parts, return_exceptions=True)
        failures: dict[int, NgsiError] = {}
        for start, answer in zip(starts, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            failures |= {start + index: error for index, error in answer.items()}
        return failures

    async def _bulk(
        self, writes: Sequence[Write], operations: list[ReplaceOne[dict[str, Any]]]
    ) -> dict[int, NgsiError]:
        try:
            await self._collection.bulk_write(operations, ordered=False)
        except BulkWriteError as exc:
            return _failures(writes, exc)
        except (InvalidDocument, DocumentTooLarge, OverflowError, PyMongoError) as exc:
            if not isinstance(exc, PyMongoError) or _is_of_the_document(exc):
                if len(operations) > 1:
                    return await self._one_by_one(writes, operations)
                if any(change.previous for change in writes[0].changes):
                    # What an update overwrote is the part that can be done without.
                    lean = replace(writes[0], changes=[replace(item, previous=[]) for item in writes[0].changes])
                    return await self._bulk([lean], [_replacement(lean, datetime.now(UTC))])
                return {0: BadRequestData(f"Entity {writes[0].id} cannot be stored: {show(str(exc), 200)}")}
            raise StorageUnavailable(f"MongoDB does not answer: {show(str(exc), 200)}") from exc
        return {}

    async def _one_by_one(
        self, writes: Sequence[Write], operations: list[ReplaceOne[dict[str, Any]]]
    ) -> dict[int, NgsiError]:
        failures: dict[int, NgsiError] = {}
        for index, operation in enumerate(operations):
            failed = await self._bulk([writes[index]], [operation])
            if failed:
                failures[index] = failed[0]
        return failures

    async def last_changes(self, entity_id: str) -> list[tuple[Entity, Change]]:
        """See EntityStore."""
        with translated():
            found = await self._collection.find_one({"_id": entity_id}, {"geo": 0, "values": 0})
        return [] if found is None else unroll(entity_id, documents.entity(found), documents.changes(found))

    async def find(self, query: EntityQuery, *, offset: int, limit: int) -> AsyncIterator[Entity]:
        """See EntityStore."""
        with translated():
            async for entity in mongo_search.find(
                self._collection, query, offset=offset, limit=limit, timeout_ms=self._query_timeout_ms
            ):
                yield entity

    async def find_ids(self, query: EntityQuery, *, after: str = "", limit: int) -> list[str]:
        """See EntityStore."""
        with translated():
            return await mongo_search.find_ids(
                self._collection, query, after=after, limit=limit, timeout_ms=self._query_timeout_ms
            )

    async def count(self, query: EntityQuery) -> int:
        """See EntityStore."""
        with translated():
            return await mongo_search.count(self._collection, query, timeout_ms=self._query_timeout_ms)

    async def types(self, now: str) -> list[str]:
        """See EntityStore."""
        with translated():
            return await mongo_discovery.types(self._collection, now, timeout_ms=self._query_timeout_ms)

    async def describe_type(self, key: str, now: str) -> TypeProfile | None:
        """See EntityStore."""
        with translated():
            return await mongo_discovery.describe(self._collection, key, now, timeout_ms=self._query_timeout_ms)

    async def find_due(self, now: str, *, limit: int) -> list[str]:
        """See EntityStore."""
        cursor = self._collection.find({"due": {"$lte": now}}, {"_id": 1}).sort("due", ASCENDING).limit(limit)
        with translated():
            return [item["_id"] for item in await cursor.to_list()]


def _replacement(write: Write, now: datetime) -> ReplaceOne[dict[str, Any]]:
    return ReplaceOne({"_id": write.id, "rev": write.rev}, documents.document(write, now), upsert=True)


def _is_of_the_document(error: PyMongoError) -> bool:
    """Whether a document is what is wrong: it is too large to be sent, or has something in it that BSON has not."""
    return isinstance(error, DocumentTooLarge | InvalidDocument) or (
        isinstance(error, OperationFailure) and error.code in _TOO_LARGE_CODES
    )


def _failures(writes: Sequence[Write], error: BulkWriteError) -> dict[int, NgsiError]:
    details = error.details or {}
    if details.get("writeConcernErrors"):
        raise StorageUnavailable(
            f"MongoDB could not make the write durable: {details['writeConcernErrors'][0]['errmsg']}"
        )
    failures: dict[int, NgsiError] = {}
    for item in details["writeErrors"]:
        entity_id = writes[item["index"]].id
        if item["code"] == _DUPLICATE_KEY:
            failures[item["index"]] = WriteConflict(f"Entity {entity_id} was written by another process")
        else:
            failures[item["index"]] = BadRequestData(f"Entity {entity_id} cannot be stored: {item['errmsg']}")
    return failures
