"""The collection `deliveries` as the API sees it (see `mongo_deliveries`): what waits, and dead letters."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pymongo import AsyncMongoClient, WriteConcern

from broker.storage.delivery_store import DeadLetter, DeliveryStore, WaitingCounts
from broker.storage.mongo_batches import documents
from broker.storage.mongo_errors import translated
from broker.storage.mongo_held import HELD
from broker.storage.mongo_tenants import database_name

_DURABLE = WriteConcern(w="majority", j=True)
REPLAYS = "replays"
"""Collection of the default tenant's database: {_id: "<tenant> <subscription>", tenant, subscription, at}."""


def replay_id(tenant: str, subscription: str) -> str:
    """The `_id` of a request that notifiers should look for new rows in the backlog of a subscription."""
    return f"{tenant} {subscription}"


class MongoDeliveryStore(DeliveryStore):
    """See DeliveryStore."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str, tenant: str) -> None:
        self._tenant = tenant
        self._rows = client[database_name(prefix, tenant)].get_collection("deliveries", write_concern=_DURABLE)
        self._replays = client[prefix].get_collection(REPLAYS, write_concern=_DURABLE)

    async def counts(self, subscription: str) -> WaitingCounts:
        """See DeliveryStore."""
        found = {"pending": 0, HELD: 0, "dead": 0}
        stages: list[dict[str, Any]] = [
            {"$match": {"subscription": subscription}},
            {"$group": {"_id": "$state", "count": {"$sum": 1}}},
        ]
        with translated():
            async for group in await self._rows.aggregate(stages):
                found[group["_id"]] = group["count"]
        return WaitingCounts(found["pending"], found[HELD], found["dead"])

    async def dead(self, subscription: str, *, offset: int, limit: int) -> AsyncGenerator[DeadLetter]:
        """See DeliveryStore."""
        wanted = _dead(subscription, None)
        batches = self._rows.find_raw_batches(wanted).sort("sequence", 1).skip(offset).limit(limit)
        with translated():
            async with aclosing(documents(batches)) as found:
                async for row in found:
                    yield _letter(row)

    async def dead_letter(self, subscription: str, notification: str) -> DeadLetter | None:
        """See DeliveryStore."""
        with translated():
            found = await self._rows.find_one(_dead(subscription, notification))
        return None if found is None else _letter(found)

    async def replay(self, subscription: str, notification: str | None, now: str) -> int:
        """See DeliveryStore."""
        change = {"$set": {"state": "pending", "at": now}, "$unset": {"deadAt": "", "error": ""}}
        request = {"tenant": self._tenant, "subscription": subscription, "at": now}
        with translated():
            count = (await self._rows.update_many(_dead(subscription, notification), change)).modified_count
            if count:
                # A notifier that has not seen this finds the rows all the same when it starts.
                known = {"_id": replay_id(self._tenant, subscription)}
                await self._replays.replace_one(known, request, upsert=True)
        return int(count)

    async def drop(self, subscription: str, notification: str | None) -> int:
        """See DeliveryStore."""
        with translated():
            return (await self._rows.delete_many(_dead(subscription, notification))).deleted_count


def _dead(subscription: str, notification: str | None) -> dict[str, Any]:
    wanted = {"subscription": subscription, "state": "dead"}
    return wanted if notification is None else wanted | {"notification": notification}


def _letter(row: dict[str, Any]) -> DeadLetter:
    return DeadLetter(row["notification"], row["entities"], row["deadAt"], row["error"], row["body"])
