"""Which types and attributes there are, asked of the collection `entities` (clauses 5.7.5 to 5.7.10).

Types are read off the index `type`, one step for each. The attributes of a type are gathered from its first
`SAMPLE_COUNT` entities, so that the cost of an answer depends on the number of types only; of a type with more
entities, the counts are scaled up and an attribute that none of those has is missing.
"""

from typing import Any

from pymongo.asynchronous.collection import AsyncCollection

from broker.storage.base import AttributeProfile, TypeProfile
from broker.storage.mongo_filter import unexpired

SAMPLE_COUNT = 10_000

_Collection = AsyncCollection[dict[str, Any]]


async def types(collection: _Collection, now: str, *, timeout_ms: int) -> list[str]:
    """The keys of all types that an unexpired entity has, in their order."""
    # A tombstone, which has no type, counts as null.
    found = {key for key in await collection.distinct("type", maxTimeMS=timeout_ms) if key is not None}
    overdue = set(await collection.distinct("type", {"due": {"$lte": now}}, maxTimeMS=timeout_ms))
    gone = {key for key in overdue if await collection.find_one({"type": key, **unexpired(now)}, {"_id": 1}) is None}
    return sorted(found - gone)


async def describe(collection: _Collection, key: str, now: str, *, timeout_ms: int) -> TypeProfile | None:
    """What there is of a type; None if no unexpired entity has it."""
    count = await collection.count_documents({"type": key}, maxTimeMS=timeout_ms)
    if count:
        expired = {"type": key, "due": {"$lte": now}, "$nor": [unexpired(now)]}
        count -= await collection.count_documents(expired, maxTimeMS=timeout_ms)
    if not count:
        return None
    rows = await collection.aggregate(_attribute_stages(key, now), maxTimeMS=timeout_ms)
    scale = max(1.0, count / SAMPLE_COUNT)
    attributes: dict[str, AttributeProfile] = {}
    async for row in rows:
        kinds = {kind for instances in row["kinds"] for kind in instances}
        attributes[row["_id"]] = AttributeProfile(round(row["count"] * scale), sorted(kinds))
    return TypeProfile(count, attributes)


def _attribute_stages(key: str, now: str) -> list[dict[str, Any]]:
    """For each attribute of the entities of a type: in how many it is, and of which kinds."""
    second = f"{now[:19]}Z"
    expiry = {"$ifNull": ["$$instance.expiresAt", "never"]}
    living = {
        "$filter": {
            "input": "$attribute.v",
            "as": "instance",
            "cond": {"$and": [{"$gt": [expiry, now]}, {"$ne": [expiry, second]}]},
        }
    }
    return [
        {"$match": {"type": key, **unexpired(now)}},
        {"$limit": SAMPLE_COUNT},
        {"$project": {"attribute": {"$objectToArray": "$attrs"}}},
        {"$unwind": "$attribute"},
        {"$project": {"key": "$attribute.k", "instances": living}},
        {"$match": {"instances": {"$ne": []}}},
        {"$group": {"_id": "$key", "count": {"$sum": 1}, "kinds": {"$addToSet": "$instances.type"}}},
    ]
