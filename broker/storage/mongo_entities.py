"""The collection `entities` of a tenant: states read and written by id, queries handed on (docs/decisions/0002)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.collection import AsyncCollection

from broker.storage import mongo_discovery, mongo_search, mongo_values
from broker.storage import mongo_documents as documents
from broker.storage.base import EntityQuery, EntityStore, Guard, Stored, TypeProfile, Write
from broker.storage.mongo_errors import translated
from broker.storage.mongo_writes import EntityWriter
from broker.turns import Turns
from ngsi.changes import Change, unroll
from ngsi.entity import Entity
from ngsi.errors import NgsiError

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

_Collection = AsyncCollection[dict[str, Any]]


class MongoEntityStore(EntityStore):
    """The collection `entities` of one tenant."""

    def __init__(self, collection: _Collection, guard: Guard | None, query_timeout_ms: int) -> None:
        self._collection = collection
        self._writer = EntityWriter(collection)
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
        """See EntityStore."""
        if self._guard is not None:
            await self._guard()
        return await self._writer.write(writes)

    async def last_changes(self, entity_id: str) -> list[tuple[Entity, Change]]:
        """See EntityStore."""
        with translated():
            found = await self._collection.find_one({"_id": entity_id}, {"geo": 0, "values": 0})
        return [] if found is None else unroll(entity_id, documents.entity(found), documents.changes(found))

    async def find(self, query: EntityQuery, *, offset: int, limit: int) -> AsyncGenerator[Entity]:
        """See EntityStore."""
        with translated():
            found = mongo_search.find(
                self._collection, query, offset=offset, limit=limit, timeout_ms=self._query_timeout_ms
            )
            async with aclosing(found):
                async for entity in found:
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
