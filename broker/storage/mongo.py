"""The storage in MongoDB: one database per tenant, every write acknowledged by a majority and journalled."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from bson.errors import InvalidDocument
from pymongo import ASCENDING, AsyncMongoClient, IndexModel, ReplaceOne, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError, PyMongoError

from broker.errors import StorageUnavailable, WriteConflict
from broker.storage import mongo_documents as documents
from broker.storage.base import DocumentStore, EntityQuery, EntityStore, Storage, Stored, Write
from broker.storage.mongo_entity_filter import entity_filter
from ngsi.entity import Entity
from ngsi.errors import BadRequestData, NgsiError
from ngsi.names import show

_TOMBSTONE_LIFE_S = 3600
"""How long a deletion stays in the collection: far longer than a committer trusts its cache, see `commit`."""

_ENTITY_INDEXES = [
    IndexModel([("type", ASCENDING), ("_id", ASCENDING)], name="type"),
    # Sparse: living entities, which have no such field, cost nothing here.
    IndexModel([("gone", ASCENDING)], name="tombstones", sparse=True, expireAfterSeconds=_TOMBSTONE_LIFE_S),
]
_DUPLICATE_KEY = 11000
_DURABLE = WriteConcern(w="majority", j=True)

_Collection = AsyncCollection[dict[str, Any]]


@contextmanager
def translated() -> Iterator[None]:
    """Turns the driver's exceptions into StorageUnavailable."""
    try:
        yield
    except PyMongoError as exc:
        raise StorageUnavailable(f"MongoDB does not answer: {show(str(exc), 200)}") from exc


class MongoEntityStore(EntityStore):
    """The collection `entities` of one tenant."""

    def __init__(self, collection: _Collection) -> None:
        self._collection = collection

    async def read(self, ids: Sequence[str]) -> dict[str, Stored]:
        """See EntityStore."""
        condition = {"_id": ids[0]} if len(ids) == 1 else {"_id": {"$in": ids}}
        with translated():
            found = await self._collection.find(condition, {"changes": 0}).to_list()
        return {item["_id"]: documents.stored(item) for item in found}

    async def write(self, writes: Sequence[Write]) -> dict[int, NgsiError]:
        """See EntityStore.

        A replace that finds no document of its revision tries to insert one and fails on the id if the entity has
        moved on: so the answer tells exactly which writes came too late, creations and updates alike.
        """
        now = datetime.now(UTC)
        operations = [
            ReplaceOne({"_id": write.id, "rev": write.rev}, documents.document(write, now), upsert=True)
            for write in writes
        ]
        return await self._bulk(writes, operations)

    async def _bulk(
        self, writes: Sequence[Write], operations: list[ReplaceOne[dict[str, Any]]]
    ) -> dict[int, NgsiError]:
        try:
            await self._collection.bulk_write(operations, ordered=False)
        except BulkWriteError as exc:
            return _failures(writes, exc)
        except (InvalidDocument, DocumentTooLarge, OverflowError) as exc:
            if len(operations) == 1:
                return {0: BadRequestData(f"Entity {writes[0].id} cannot be stored: {show(str(exc), 200)}")}
            return await self._one_by_one(writes, operations)
        except PyMongoError as exc:
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

    async def find(self, query: EntityQuery, *, offset: int, limit: int) -> AsyncIterator[Entity]:
        """See EntityStore."""
        cursor = (
            self._collection.find(entity_filter(query), {"changes": 0}).sort("_id", ASCENDING).skip(offset).limit(limit)
        )
        with translated():
            async for item in cursor:
                entity = documents.entity(item)
                if entity is not None:
                    yield entity

    async def find_ids(self, query: EntityQuery, *, after: str = "", limit: int) -> list[str]:
        """See EntityStore."""
        condition = {"$and": [{"_id": {"$gt": after}}, entity_filter(query)]} if after else entity_filter(query)
        cursor = self._collection.find(condition, {"_id": 1}).sort("_id", ASCENDING).limit(limit)
        with translated():
            return [item["_id"] for item in await cursor.to_list()]

    async def count(self, query: EntityQuery) -> int:
        """See EntityStore."""
        with translated():
            return await self._collection.count_documents(entity_filter(query))


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

    def __init__(self, collection: _Collection) -> None:
        self._collection = collection

    async def insert(self, document: Mapping[str, Any]) -> bool:
        """See DocumentStore."""
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
    """Databases `<prefix>` for the default tenant and `<prefix>_<tenant>` for the others.

    The collection `tenants` of the first one lists them, so that every process sees a tenant as soon as it is there.
    """

    def __init__(self, uri: str, prefix: str, *, timeout_s: float) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            uri,
            serverSelectionTimeoutMS=int(timeout_s * 1000),
            connectTimeoutMS=int(timeout_s * 1000),
            appname="medina",
        )
        self._prefix = prefix
        self._known_tenants: set[str] = set()

    async def ping(self) -> None:
        """See Storage."""
        with translated():
            hello = await self._client.admin.command("hello")
        if not hello.get("isWritablePrimary"):
            raise StorageUnavailable("MongoDB has no primary at present")
        if "setName" not in hello:
            raise StorageUnavailable("MongoDB is no replica set; start it with --replSet and initiate it")

    async def has_tenant(self, tenant: str) -> bool:
        """See Storage."""
        if tenant in self._known_tenants:
            return True
        with translated():
            found = await self._client[self._prefix]["tenants"].find_one({"_id": tenant})
        if found is not None:
            self._known_tenants.add(tenant)
        return found is not None or tenant == ""

    async def create_tenant(self, tenant: str) -> None:
        """See Storage."""
        if tenant in self._known_tenants:
            return
        database = self._database(tenant)
        with translated():
            await database["entities"].create_indexes(_ENTITY_INDEXES)
            await (
                self._client[self._prefix]
                .get_collection("tenants", write_concern=_DURABLE)
                .update_one({"_id": tenant}, {"$setOnInsert": {"database": database.name}}, upsert=True)
            )
        self._known_tenants.add(tenant)

    def entities(self, tenant: str) -> EntityStore:
        """See Storage."""
        return MongoEntityStore(self._collection(tenant, "entities"))

    def subscriptions(self, tenant: str) -> DocumentStore:
        """See Storage."""
        return MongoDocumentStore(self._collection(tenant, "subscriptions"))

    async def close(self) -> None:
        """See Storage."""
        await self._client.close()

    def _collection(self, tenant: str, name: str) -> _Collection:
        return self._database(tenant).get_collection(name, write_concern=_DURABLE)

    def _database(self, tenant: str) -> AsyncDatabase[dict[str, Any]]:
        return self._client[f"{self._prefix}_{tenant}" if tenant else self._prefix]
