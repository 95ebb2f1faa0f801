"""The @contexts in MongoDB: the collection `contexts` of the default tenant's database, for all tenants.

{_id: id, kind: "Hosted" | "Cached" | "ImplicitlyCreated", url?, tenants?: [names], text, createdAt, expiresAt?,
 lastUsage?, sharedAt?, hits}
The collection `contextVersions` has one document, {_id: "contexts", number}: the number grows with every change of what
is stored already, after it. A change stream would tell as much, but it makes every write of an entity cost more.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pymongo import AsyncMongoClient, UpdateOne, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection

from broker.storage.context_store import ContextRecord, ContextStore, Kind
from broker.storage.mongo_batches import documents
from broker.storage.mongo_errors import translated

_DURABLE = WriteConcern(w="majority", j=True)
_UNUSED_COUNT = 1000
_VERSION = "contexts"


class MongoContextStore(ContextStore):
    """The collection `contexts`."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], database: str) -> None:
        self._collection: AsyncCollection[dict[str, Any]] = client[database].get_collection(
            "contexts", write_concern=_DURABLE
        )
        self._versions: AsyncCollection[dict[str, Any]] = client[database]["contextVersions"]

    async def get(self, context_id: str) -> ContextRecord | None:
        """See ContextStore."""
        with translated():
            found = await self._collection.find_one({"_id": context_id})
        return None if found is None else _record(found)

    async def put(self, record: ContextRecord) -> None:
        """See ContextStore."""
        document = _document(record)
        kept = {"createdAt": document.pop("createdAt"), "hits": document.pop("hits")}
        with translated():
            written = await self._collection.update_one(
                {"_id": record.id}, {"$set": document, "$setOnInsert": kept}, upsert=True
            )
            if written.matched_count:
                await self._grow()

    async def share(self, record: ContextRecord) -> None:
        """See ContextStore."""
        change = _sharing(record) | {"$max": {"sharedAt": record.created_at}}
        with translated():
            await self._collection.update_one({"_id": record.id}, change, upsert=True)

    async def unused(self, since: str, count_max: int) -> Sequence[ContextRecord]:
        """See ContextStore."""
        used = {"$max": ["$createdAt", "$lastUsage", "$sharedAt"]}
        stages: list[dict[str, Any]] = [
            {"$match": {"kind": {"$ne": "Hosted"}}},
            {"$project": {"text": 0}},
            {"$set": {"used": used}},
            {"$setWindowFields": {"sortBy": {"used": -1}, "output": {"place": {"$documentNumber": {}}}}},
            {"$match": {"$or": [{"used": {"$lt": since}}, {"place": {"$gt": count_max}}]}},
            {"$sort": {"used": 1}},
            {"$limit": _UNUSED_COUNT},
        ]
        with translated():
            found = await (await self._collection.aggregate(stages, allowDiskUse=True)).to_list()
        return [_record(item) for item in found]

    async def find(self, tenant: str, kind: Kind | None) -> AsyncGenerator[ContextRecord]:
        """See ContextStore."""
        wanted: dict[str, Any] = {"tenants": {"$in": [None, tenant]}}
        if kind is not None:
            wanted["kind"] = kind
        batches = self._collection.find_raw_batches(wanted, {"text": 0}).sort([("createdAt", 1), ("_id", 1)])
        with translated():
            async with aclosing(documents(batches)) as found:
                async for document in found:
                    yield _record(document)

    async def delete(self, context_id: str) -> bool:
        """See ContextStore."""
        with translated():
            was_there = (await self._collection.delete_one({"_id": context_id})).deleted_count == 1
            if was_there:
                await self._grow()
        return was_there

    async def count(self, uses: Mapping[str, int], now: str, missing: Iterable[ContextRecord] = ()) -> None:
        """See ContextStore."""
        changes = [UpdateOne({"_id": record.id}, _sharing(record), upsert=True) for record in missing]
        changes += [
            UpdateOne({"_id": context_id}, {"$inc": {"hits": count}, "$max": {"lastUsage": now}})
            for context_id, count in uses.items()
        ]
        if changes:
            with translated():
                await self._collection.bulk_write(changes)

    async def expiries(self, ids: Sequence[str]) -> Mapping[str, str | None]:
        """See ContextStore."""
        with translated():
            found = await self._collection.find({"_id": {"$in": ids}}, {"expiresAt": 1}).to_list()
        return {item["_id"]: item.get("expiresAt") for item in found}

    async def version(self) -> int:
        """See ContextStore."""
        with translated():
            found = await self._versions.find_one({"_id": _VERSION})
        return 0 if found is None else int(found["number"])

    async def forget_tenant(self, tenant: str) -> None:
        """See ContextStore."""
        with translated():
            await self._collection.update_many({"tenants": tenant}, {"$pull": {"tenants": tenant}})
            await self._collection.delete_many({"tenants": []})
            await self._grow()

    async def _grow(self) -> None:
        await self._versions.update_one({"_id": _VERSION}, {"$inc": {"number": 1}}, upsert=True)


def _sharing(record: ContextRecord) -> dict[str, Any]:
    document = _document(record)
    tenants = document.pop("tenants", None)
    change: dict[str, Any] = {"$setOnInsert": document}
    return change if tenants is None else change | {"$addToSet": {"tenants": {"$each": tenants}}}


def _document(record: ContextRecord) -> dict[str, Any]:
    members = {
        "kind": record.kind,
        "url": record.url,
        "tenants": None if record.tenants is None else list(record.tenants),
        "text": record.text,
        "createdAt": record.created_at,
        "expiresAt": record.expires_at,
        "lastUsage": record.last_usage,
        "hits": record.hit_count,
    }
    return {name: value for name, value in members.items() if value is not None}


def _record(document: Mapping[str, Any]) -> ContextRecord:
    tenants = document.get("tenants")
    return ContextRecord(
        document["_id"],
        document["kind"],
        document.get("url"),
        None if tenants is None else tuple(tenants),
        document.get("text", ""),
        document["createdAt"],
        document.get("expiresAt"),
        document.get("lastUsage"),
        document["hits"],
    )
