"""The storage in MongoDB: one database per tenant, every write acknowledged by a majority and journalled."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from pymongo import ASCENDING, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from broker.errors import StorageUnavailable
from broker.storage import mongo_entities, mongo_leases
from broker.storage.base import (
    DocumentStore,
    EntityStore,
    Guard,
    Storage,
    TenantRecord,
)
from broker.storage.context_store import ContextStore
from broker.storage.delivery_store import DeliveryStore
from broker.storage.mongo_batches import documents
from broker.storage.mongo_client import connect
from broker.storage.mongo_contexts import MongoContextStore
from broker.storage.mongo_dead_letters import MongoDeliveryStore
from broker.storage.mongo_errors import translated
from broker.storage.mongo_tenants import TenantRegister, database_name
from broker.tasks import close
from ngsi.context_source import references

_CONTEXT_MEMBERS = ("context", "contextUrl", "readWith.q", "readWith.csf", "subscription.jsonldContext")
"""Where a subscription names @contexts, see `ngsi.subscription`."""
_DURABLE = WriteConcern(w="majority", j=True)

_Collection = AsyncCollection[dict[str, Any]]


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

    async def find(self, *, offset: int, limit: int) -> AsyncGenerator[dict[str, Any]]:
        """See DocumentStore."""
        batches = self._collection.find_raw_batches().sort("_id", ASCENDING).skip(offset).limit(limit)
        with translated():
            async with aclosing(documents(batches)) as found:
                async for document in found:
                    yield document

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
        self._client = connect(uri, timeout_s, "medina")
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
            await self._database(tenant)["entities"].create_indexes(mongo_entities.INDEXES)
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
        urls: set[str] = set()
        with translated():
            for member in _CONTEXT_MEMBERS:
                stages: list[dict[str, Any]] = [
                    {"$match": {member: {"$exists": True}}},
                    {"$group": {"_id": f"${member}"}},
                ]
                batches = await subscriptions.aggregate_raw_batches(stages, allowDiskUse=True)
                async with aclosing(documents(batches)) as found:
                    urls.update([url async for source in found for url in references(source["_id"])])
        return urls

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
        return mongo_entities.MongoEntityStore(self._collection(tenant, "entities"), guard, self._query_timeout_ms)

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
        await close(self._client)

    def _collection(self, tenant: str, name: str) -> _Collection:
        return self._database(tenant).get_collection(name, write_concern=_DURABLE)

    def _database(self, tenant: str) -> AsyncDatabase[dict[str, Any]]:
        return self._client[database_name(self._prefix, tenant)]
