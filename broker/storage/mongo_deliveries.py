"""What the notifier keeps in MongoDB: undelivered notifications, dead letters, and states that throttling holds back.

Collection `deliveries`, in the database of each tenant:
{_id: "<subscription>/<sequence>/<notification id>", subscription, sequence, notification, entities: [ids], at, body,
 context, state: "pending" | "dead", deadAt?, error?}
The id is made from the events that the notification stems from, so that a repetition after a crash finds it taken.
States held back (`mongo_held`) stand in the same collection, with the state "held".
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, DeleteMany, DeleteOne, InsertOne, UpdateOne, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from broker.storage.base import EntityStore
from broker.storage.mongo_bookings import Booking, booked
from broker.storage.mongo_compact import CompactDocument
from broker.storage.mongo_dead_letters import REPLAYS, replay_id
from broker.storage.mongo_entities import MongoEntityStore
from broker.storage.mongo_errors import unavailable
from broker.storage.mongo_held import HELD, HeldState, held_states, holding, releasing
from broker.storage.mongo_tenants import database_name, tenant_of

_DUPLICATE = 11000
_READ_BYTES_MAX = 4_000_000
_READ_AT_A_TIME = 500
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_DROP_COUNT = 1000
_QUERY_TIMEOUT_MS = 10_000
_DURABLE = WriteConcern(w="majority", j=True)
_UNREAD = {"delivery.attempts": 0}
_Operation = InsertOne[dict[str, Any]] | UpdateOne | DeleteOne


@dataclass(slots=True)
class Row:
    """One notification as it is stored. `at` is the DateTime text of its making, `context` what Link names, if any."""

    subscription: str
    sequence: str
    notification: str
    entities: list[str]
    at: str
    body: bytes
    context: str | None = None
    died: tuple[str, str] | None = None
    """When and why it was given up; None as long as it is to be delivered."""

    @property
    def id(self) -> str:
        """The document's `_id`."""
        return f"{self.subscription}/{self.sequence}/{self.notification}"


class MongoDeliveries:
    """Undelivered notifications of all tenants. Every method raises StorageUnavailable when MongoDB does not answer."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._indexed: set[str] = set()

    async def change(self, tenant: str, put: Sequence[Row | HeldState], drop: Sequence[Row | HeldState]) -> None:
        """Stores and removes rows durably (majority, journal), in no particular order; a row that is there stays.

        A held state takes the place of an older one, and is not removed where a newer one has taken its place.
        """
        operations: list[_Operation] = [
            holding(row) if isinstance(row, HeldState) else InsertOne(_document(row)) for row in put
        ]
        operations += [releasing(row) if isinstance(row, HeldState) else DeleteOne({"_id": row.id}) for row in drop]
        with unavailable("Deliveries could not be stored"):
            try:
                await self._index(tenant)
                await self._collection(tenant).bulk_write(operations, ordered=False)
            except BulkWriteError as exc:
                errors = exc.details["writeErrors"]
                if exc.details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE for error in errors):
                    raise

    async def oldest(self, tenant: str, subscription: str, limit: int) -> tuple[list[Row], bool]:
        """The oldest pending rows of a subscription in order, some megabytes at the most; and whether these are all."""
        wanted = {"subscription": subscription, "state": "pending"}
        rows: list[Row] = []
        size_bytes = 0
        with unavailable("Deliveries could not be read"):
            async with self._collection(tenant).find(wanted).sort("sequence", 1).limit(limit) as documents:
                async for document in documents:
                    rows.append(_row(document))
                    size_bytes += len(rows[-1].body)
                    if size_bytes > _READ_BYTES_MAX:
                        return rows, False
        return rows, len(rows) < limit

    async def bury(self, tenant: str, subscription: str, older_than: str, now: str, error: str) -> int:
        """Makes dead letters of the subscription's rows made before a time; how many."""
        wanted = {"subscription": subscription, "state": "pending", "at": {"$lte": older_than}}
        change = {"$set": {"state": "dead", "deadAt": now, "error": error}}
        with unavailable("Dead letters could not be marked"):
            return int((await self._collection(tenant).update_many(wanted, change)).modified_count)

    async def forget(self, tenant: str, deleted: Mapping[str, str]) -> None:
        """Removes what subscriptions have left: id → sequence of the deletion; what has a higher one stays."""
        self._indexed.discard(tenant)  # the subscriptions may have gone with their tenant, and the index with them
        operations = [
            DeleteMany({"subscription": subscription, "sequence": {"$lt": before}})
            for subscription, before in deleted.items()
        ]
        with unavailable("Deliveries could not be removed"):
            await self._collection(tenant).bulk_write(operations, ordered=False)

    async def waiting(self) -> dict[tuple[str, str], int]:
        """(tenant, subscription) → how many rows are pending, of all tenants."""
        return await self._counted("pending")

    async def holding(self) -> dict[tuple[str, str], int]:
        """(tenant, subscription) → how many states are held back, of all tenants."""
        return await self._counted(HELD)

    async def held(self, tenant: str, subscription: str) -> AsyncGenerator[HeldState]:
        """The states that are held back for a subscription, in the order of the feed."""
        with unavailable("Held states could not be read"):
            async with aclosing(held_states(self._collection(tenant), subscription)) as states:
                async for state in states:
                    yield state

    async def entities_waiting(self, tenant: str, subscription: str, limit: int) -> dict[str, int] | None:
        """Entity id → in how many of the subscription's pending rows it is; None if there are more entities."""
        stages: list[Mapping[str, Any]] = [
            {"$match": {"subscription": subscription, "state": "pending"}},
            {"$unwind": "$entities"},
            {"$group": {"_id": "$entities", "count": {"$sum": 1}}},
            {"$limit": limit + 1},
        ]
        with unavailable("Deliveries could not be read"):
            cursor = await self._collection(tenant).aggregate(stages)
            found = {group["_id"]: group["count"] async for group in cursor}
        return found if len(found) <= limit else None

    async def drop_superseded(self, tenant: str, subscription: str) -> int:
        """Removes the pending rows of which every entity is in a later one; how many."""
        collection = self._collection(tenant)
        wanted = {"subscription": subscription, "state": "pending"}
        seen: set[str] = set()
        superseded: list[str] = []
        with unavailable("Superseded notifications could not be removed"):
            async for row in collection.find(wanted, {"entities": 1}).sort("sequence", -1):
                if seen.issuperset(row["entities"]):
                    superseded.append(row["_id"])
                seen.update(row["entities"])
            for start in range(0, len(superseded), _DROP_COUNT):
                await collection.delete_many({"_id": {"$in": superseded[start : start + _DROP_COUNT]}})
        return len(superseded)

    async def replays(self) -> list[tuple[str, str]]:
        """(tenant, subscription) of those whose dead letters are to be delivered again; see `forget_replay`."""
        with unavailable("Requests for replays could not be read"):
            return [(item["tenant"], item["subscription"]) async for item in self._replays().find()]

    async def forget_replay(self, tenant: str, subscription: str) -> None:
        """The replay is under way."""
        with unavailable("The request for a replay could not be removed"):
            await self._replays().delete_one({"_id": replay_id(tenant, subscription)})

    async def end(self, tenant: str, subscription: str, uri: str, now: str, reason: str) -> bool:
        """Pauses a subscription, as its owner could, and says why; False if it no longer has this endpoint."""
        changes = {
            "subscription.isActive": False,
            "modifiedAt": now,
            "delivery.ended": {"at": now, "reason": reason},
        }
        unchanged = {"_id": subscription, "subscription.notification.endpoint.uri": uri}
        subscriptions = self._client[self._database(tenant)].get_collection("subscriptions", write_concern=_DURABLE)
        with unavailable("The subscription could not be paused"):
            return (await subscriptions.update_one(unchanged, {"$set": changes})).matched_count == 1

    async def subscriptions(self, wanted: Callable[[str, str], bool]) -> AsyncGenerator[tuple[str, CompactDocument]]:
        """(tenant, document) of the subscriptions whose tenant and id are `wanted`."""
        with unavailable("Subscriptions could not be read"):
            for tenant in await self._tenants():
                collection: AsyncCollection[Any] = self._client[self._database(tenant)].get_collection(
                    "subscriptions",
                    codec_options=_RAW,
                )
                async with collection.find({}, _UNREAD, batch_size=_READ_AT_A_TIME) as documents:
                    async for document in documents:
                        if wanted(tenant, str(document["_id"])):
                            yield tenant, CompactDocument(bytes(document.raw))

    async def book(self, tenant: str, bookings: Iterable[tuple[str, Booking]]) -> None:
        """Adds to the counters of subscriptions; one that is gone is passed over.

        Acknowledged by the primary alone: counters may lose their last second in a crash, notifications never.
        """
        collection = self._client[self._database(tenant)].get_collection("subscriptions", write_concern=WriteConcern(1))
        with unavailable("Counters could not be stored"):
            await collection.bulk_write([booked(name, booking) for name, booking in bookings], ordered=False)

    def entities(self, tenant: str) -> EntityStore:
        """The entities of a tenant, to be read."""
        collection = self._client[self._database(tenant)]["entities"]
        return MongoEntityStore(collection, None, _QUERY_TIMEOUT_MS)

    async def _counted(self, state: str) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        stages: list[Mapping[str, Any]] = [
            # Any subscription: with it the index has all that is needed.
            {"$match": {"subscription": {"$gte": ""}, "state": state}},
            {"$group": {"_id": "$subscription", "count": {"$sum": 1}}},
        ]
        with unavailable("Deliveries could not be counted"):
            for tenant in await self._tenants():
                async for group in await self._collection(tenant).aggregate(stages):
                    found[tenant, group["_id"]] = group["count"]
        return found

    async def _tenants(self) -> list[str]:
        names = await self._client.list_database_names()
        start = f"{self._prefix}_"
        return [tenant_of(self._prefix, name) for name in names if name == self._prefix or name.startswith(start)]

    async def _index(self, tenant: str) -> None:
        if tenant not in self._indexed:
            keys = [("subscription", 1), ("state", 1), ("sequence", 1)]
            await self._collection(tenant).create_index(keys, name="oldest")
            self._indexed.add(tenant)

    def _database(self, tenant: str) -> str:
        return database_name(self._prefix, tenant)

    def _collection(self, tenant: str) -> Any:
        return self._client[self._database(tenant)].get_collection("deliveries", write_concern=_DURABLE)

    def _replays(self) -> Any:
        return self._client[self._prefix][REPLAYS]


def _document(row: Row) -> dict[str, Any]:
    state = {"state": "pending"} if row.died is None else {"state": "dead", "deadAt": row.died[0], "error": row.died[1]}
    return {
        "_id": row.id,
        "subscription": row.subscription,
        "sequence": row.sequence,
        "notification": row.notification,
        "entities": row.entities,
        "at": row.at,
        "body": row.body,
        "context": row.context,
        **state,
    }


def _row(document: dict[str, Any]) -> Row:
    return Row(
        document["subscription"],
        document["sequence"],
        document["notification"],
        document["entities"],
        document["at"],
        document["body"],
        document["context"],
    )
