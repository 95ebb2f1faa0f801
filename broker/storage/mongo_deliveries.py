"""What the notifier keeps in MongoDB: undelivered notifications, dead letters, and the counters of subscriptions.

Collection `deliveries`, in the database of each tenant:
{_id: "<subscription>/<sequence>/<notification id>", subscription, sequence, notification, entities: [ids], at, body,
 context, state: "pending" | "dead", deadAt?, error?}
The id is made from the events that the notification stems from, so that a repetition after a crash finds it taken.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import AsyncMongoClient, DeleteOne, InsertOne, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, PyMongoError

from broker.errors import StorageUnavailable
from broker.storage.mongo_tenants import database_name, tenant_of

_DUPLICATE = 11000
_READ_BYTES_MAX = 4_000_000
_Operation = InsertOne[dict[str, Any]] | DeleteOne


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

    @property
    def id(self) -> str:
        """The document's `_id`."""
        return f"{self.subscription}/{self.sequence}/{self.notification}"


@dataclass(slots=True)
class Booking:
    """What happened to a subscription's notifications since the last booking.

    `facts` has the members of the sub-document `delivery` to set: lastNotification, lastSuccess, lastFailure, state,
    consecutiveFailures, nextAttemptAt, lastError (None removes one).
    """

    sent_count: int = 0
    failed_count: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


class MongoDeliveries:
    """Undelivered notifications of all tenants. Every method raises StorageUnavailable when MongoDB does not answer."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._indexed: set[str] = set()

    async def change(self, tenant: str, put: Sequence[Row], drop: Sequence[str]) -> None:
        """Stores and removes rows durably (majority, journal), in no particular order; a row that is there stays."""
        operations: list[_Operation] = [InsertOne(_document(row)) for row in put]
        operations += [DeleteOne({"_id": row_id}) for row_id in drop]
        try:
            await self._index(tenant)
            await self._collection(tenant).bulk_write(operations, ordered=False)
        except BulkWriteError as exc:
            errors = exc.details["writeErrors"]
            if exc.details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE for error in errors):
                raise StorageUnavailable(f"Deliveries could not be stored: {str(exc)[:300]}") from exc
        except PyMongoError as exc:
            raise StorageUnavailable(f"Deliveries could not be stored: {exc}") from exc

    async def oldest(self, tenant: str, subscription: str, limit: int) -> tuple[list[Row], bool]:
        """The oldest pending rows of a subscription in order, some megabytes at the most; and whether these are all."""
        wanted = {"subscription": subscription, "state": "pending"}
        rows: list[Row] = []
        size_bytes = 0
        try:
            async for document in self._collection(tenant).find(wanted).sort("sequence", 1).limit(limit):
                rows.append(_row(document))
                size_bytes += len(rows[-1].body)
                if size_bytes > _READ_BYTES_MAX:
                    return rows, False
        except PyMongoError as exc:
            raise StorageUnavailable(f"Deliveries could not be read: {exc}") from exc
        return rows, len(rows) < limit

    async def bury(self, tenant: str, subscription: str, older_than: str, now: str, error: str) -> int:
        """Makes dead letters of the subscription's rows made before a time; how many."""
        wanted = {"subscription": subscription, "state": "pending", "at": {"$lte": older_than}}
        change = {"$set": {"state": "dead", "deadAt": now, "error": error}}
        try:
            return int((await self._collection(tenant).update_many(wanted, change)).modified_count)
        except PyMongoError as exc:
            raise StorageUnavailable(f"Dead letters could not be marked: {exc}") from exc

    async def forget(self, tenant: str, subscription: str, before: str) -> None:
        """Removes what a deleted subscription has left: everything with a sequence below that of its deletion."""
        self._indexed.discard(tenant)  # the subscription may have gone with its tenant, and the index with both
        try:
            await self._collection(tenant).delete_many({"subscription": subscription, "sequence": {"$lt": before}})
        except PyMongoError as exc:
            raise StorageUnavailable(f"Deliveries could not be removed: {exc}") from exc

    async def waiting(self) -> dict[tuple[str, str], int]:
        """(tenant, subscription) → how many rows are pending, of all tenants."""
        found: dict[tuple[str, str], int] = {}
        stages: list[Mapping[str, Any]] = [
            {"$match": {"state": "pending"}},
            {"$group": {"_id": "$subscription", "count": {"$sum": 1}}},
        ]
        try:
            for tenant in await self._tenants():
                async for group in await self._collection(tenant).aggregate(stages):
                    found[tenant, group["_id"]] = group["count"]
        except PyMongoError as exc:
            raise StorageUnavailable(f"Deliveries could not be counted: {exc}") from exc
        return found

    async def subscriptions(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """(tenant, document) of every subscription there is."""
        try:
            for tenant in await self._tenants():
                async for document in self._client[self._database(tenant)]["subscriptions"].find():
                    yield tenant, document
        except PyMongoError as exc:
            raise StorageUnavailable(f"Subscriptions could not be read: {exc}") from exc

    async def book(self, tenant: str, bookings: Iterable[tuple[str, Booking]]) -> None:
        """Adds to the counters of subscriptions; one that is gone is passed over.

        Acknowledged by the primary alone: counters may lose their last second in a crash, notifications never.
        """
        collection = self._client[self._database(tenant)].get_collection("subscriptions", write_concern=WriteConcern(1))
        try:
            await collection.bulk_write([_counted(name, booking) for name, booking in bookings], ordered=False)
        except PyMongoError as exc:
            raise StorageUnavailable(f"Counters could not be stored: {exc}") from exc

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
        durable = WriteConcern(w="majority", j=True)
        return self._client[self._database(tenant)].get_collection("deliveries", write_concern=durable)


def _document(row: Row) -> dict[str, Any]:
    return {
        "_id": row.id,
        "subscription": row.subscription,
        "sequence": row.sequence,
        "notification": row.notification,
        "entities": row.entities,
        "at": row.at,
        "body": row.body,
        "context": row.context,
        "state": "pending",
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


def _counted(subscription: str, booking: Booking) -> UpdateOne:
    update: dict[str, Any] = {}
    counts = {"delivery.timesSent": booking.sent_count, "delivery.timesFailed": booking.failed_count}
    if any(counts.values()):
        update["$inc"] = {name: count for name, count in counts.items() if count}
    if facts := {f"delivery.{name}": fact for name, fact in booking.facts.items() if fact is not None}:
        update["$set"] = facts
    if gone := {f"delivery.{name}": "" for name, fact in booking.facts.items() if fact is None}:
        update["$unset"] = gone
    return UpdateOne({"_id": subscription}, update)
