"""The storage in MongoDB: one database per tenant, every write acknowledged by a majority and journalled."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bson.errors import InvalidDocument
from pymongo import ASCENDING, AsyncMongoClient, IndexModel, ReplaceOne, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError, OperationFailure, PyMongoError

from broker.errors import StorageUnavailable, WriteConflict
from broker.storage import mongo_discovery, mongo_leases, mongo_search, mongo_values
from broker.storage import mongo_documents as documents
from broker.storage.base import (
    DocumentStore,
    EntityQuery,
    EntityStore,
    Guard,
    Storage,
    Stored,
    TenantRecord,
    TypeProfile,
    Write,
)
from broker.storage.context_store import ContextStore
from broker.storage.delivery_store import DeliveryStore
from broker.storage.mongo_contexts import MongoContextStore
from broker.storage.mongo_dead_letters import MongoDeliveryStore
from broker.storage.mongo_errors import translated
from broker.storage.mongo_tenants import TenantRegister, database_name
from broker.turns import Turns
from ngsi.changes import Change, unroll
from ngsi.entity import Entity
from ngsi.errors import BadRequestData, NgsiError
from ngsi.names import show

_TOMBSTONE_LIFE_S = 3600
"""How long a deletion stays in the collection: far longer than a committer trusts its cache, see `commit`."""

_UNREAD = {"changes": 0, "geo": 0, "values": 0}
"""What of a document is for the notifier and the indexes only."""

_ENTITY_INDEXES = [
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
_BULK_COUNT = 128
"""Writes in one round trip at the most: so many are encoded without a break, in some milliseconds."""
_CONTEXT_MEMBERS = ("context", "contextUrl", "readWith.q", "readWith.csf", "subscription.jsonldContext")
"""Where a subscription names @contexts, see `ngsi.subscription`."""
_DUPLICATE_KEY = 11000
_TOO_LARGE_CODES = frozenset({10334, 17280, 17419, 17420})
"""BSONObjectTooLarge, KeyTooLong, and two for a document over 16 MiB."""
_DURABLE = WriteConcern(w="majority", j=True)

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


class MongoDocumentStore(DocumentStore):
    """A collection of documents of one tenant."""

    def __init__(self, collection: _Collection, guard: Guard | None = None) -> None:
        self._collection = collection
        self._guard = guard

    async def insert(self, document: Mapping[str, Any]) -> bool:
        """See DocumentStore."""
        if self._guard is not None:
            await self._guard()
        with translated():
            try:
                await self._collection.insert_one(dict(document))
            except DuplicateKeyError:
                return False
        return True

    async def get(self, document_id: str) -> dict[str, Any] | None:
        """See DocumentStore."""
        with translated():
            return await self._collection.find_one({"_id": document_id})

    async def update(self, document_id: str, members: Mapping[str, Any], *, if_modified_at: str) -> bool:
        """See DocumentStore."""
        if self._guard is not None:
            await self._guard()
        changes = {"$set": {name: value for name, value in members.items() if value is not None}}
        if removed := [name for name, value in members.items() if value is None]:
            changes["$unset"] = dict.fromkeys(removed, "")
        with translated():
            done = await self._collection.update_one({"_id": document_id, "modifiedAt": if_modified_at}, changes)
        return done.matched_count == 1

    async def list(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        """See DocumentStore."""
        with translated():
            return await self._collection.find().sort("_id", ASCENDING).skip(offset).limit(limit).to_list()

    async def count(self) -> int:
        """See DocumentStore."""
        with translated():
            return await self._collection.count_documents({})

    async def delete(self, document_id: str) -> bool:
        """See DocumentStore."""
        with translated():
            return (await self._collection.delete_one({"_id": document_id})).deleted_count == 1


class MongoStorage(Storage):
    """Databases of the tenants, named and listed as `mongo_tenants` says: every process sees a tenant at once."""

    def __init__(self, uri: str, prefix: str, *, timeout_s: float, query_timeout_s: float) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            uri,
            serverSelectionTimeoutMS=int(timeout_s * 1000),
            connectTimeoutMS=int(timeout_s * 1000),
            appname="medina",
        )
        self._prefix = prefix
        self._register = TenantRegister(self._client, prefix)
        self._query_timeout_ms = int(query_timeout_s * 1000)

    async def ping(self) -> None:
        """See Storage."""
        with translated():
            hello = await self._client.admin.command("hello")
        if not hello.get("isWritablePrimary"):
            raise StorageUnavailable("MongoDB has no primary at present")
        if "setName" not in hello:
            raise StorageUnavailable("MongoDB is no replica set; start it with --replSet and initiate it")

    async def incarnation(self, tenant: str) -> str | None:
        """See Storage."""
        with translated():
            return await self._register.incarnation(tenant)

    async def create_tenant(self, tenant: str, now: str) -> str:
        """See Storage."""
        with translated():
            await self._register.require_none_leaving(tenant)
            await self._database(tenant)["entities"].create_indexes(_ENTITY_INDEXES)
            await self._database(tenant)["entityMaps"].create_index("gone", name="expired", expireAfterSeconds=0)
            return await self._register.enter(tenant, now)

    async def tenants(self) -> list[TenantRecord]:
        """See Storage."""
        with translated():
            return await self._register.list()

    async def mark_leaving(self, tenant: str) -> bool:
        """See Storage."""
        with translated():
            return await self._register.mark_leaving(tenant)

    async def remove_tenant(self, tenant: str) -> None:
        """See Storage."""
        await self.contexts().forget_tenant(tenant)
        with translated():
            await self._register.remove(tenant)

    async def contexts_named(self, tenant: str) -> set[str]:
        """See Storage."""
        subscriptions = self._collection(tenant, "subscriptions")
        with translated():
            found = [await subscriptions.distinct(member) for member in _CONTEXT_MEMBERS]
        return {item for items in found for item in items if isinstance(item, str)}

    async def hold(self, work: str, holder: str, for_s: float) -> bool:
        """See Storage."""
        with translated():
            return await mongo_leases.hold(self._client[self._prefix]["leases"], work, holder, for_s)

    async def alias(self) -> str:
        """See Storage."""
        with translated():
            return await self._register.alias()

    def entities(self, tenant: str, guard: Guard | None = None) -> EntityStore:
        """See Storage."""
        return MongoEntityStore(self._collection(tenant, "entities"), guard, self._query_timeout_ms)

    def subscriptions(self, tenant: str, guard: Guard | None = None) -> DocumentStore:
        """See Storage."""
        return MongoDocumentStore(self._collection(tenant, "subscriptions"), guard)

    def entity_maps(self, tenant: str, guard: Guard | None = None) -> DocumentStore:
        """See Storage."""
        return MongoDocumentStore(self._collection(tenant, "entityMaps"), guard)

    def deliveries(self, tenant: str) -> DeliveryStore:
        """See Storage."""
        return MongoDeliveryStore(self._client, self._prefix, tenant)

    def contexts(self) -> ContextStore:
        """See Storage."""
        return MongoContextStore(self._client, self._prefix)

    async def close(self) -> None:
        """See Storage."""
        await self._client.close()

    def _collection(self, tenant: str, name: str) -> _Collection:
        return self._database(tenant).get_collection(name, write_concern=_DURABLE)

    def _database(self, tenant: str) -> AsyncDatabase[dict[str, Any]]:
        return self._client[database_name(self._prefix, tenant)]
