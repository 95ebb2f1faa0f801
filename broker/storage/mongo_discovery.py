"""Which types and attributes there are, asked of the collection `entities` (clauses 5.7.5 to 5.7.10).

Types are read off the index `type`, one step for each. The attributes of a type are gathered from `FIRST_COUNT` of
its entities; the others are only looked through for an attribute, or a kind of one, that is not among these. So the
answer is complete, and costs some microseconds of MongoDB's time for each entity of the type; where that takes longer
than a query may, it is refused like any other (TooComplexQuery).
"""

from collections.abc import Iterable
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure

from broker.storage import mongo_documents as documents
from broker.storage.base import TypeProfile
from broker.storage.mongo_filter import unexpired
from ngsi.errors import TooComplexQuery

FIRST_COUNT = 10_000
_ROUND_COUNT = 100
_SHAPES_COUNT_MAX = 20_000
_TOO_MANY = 17217
"""MongoDB's code for what `distinct` cannot answer in one document."""

_Collection = AsyncCollection[dict[str, Any]]
_Shape = tuple[str, tuple[str, ...]]
"""An attribute, and the kinds of its instances as an entity has them."""


async def types(collection: _Collection, now: str, *, timeout_ms: int) -> list[str]:
    """The keys of all types that an unexpired entity has, in their order. Raises TooComplexQuery."""
    # A tombstone, which has no type, counts as null.
    try:
        found = {key for key in await collection.distinct("type", maxTimeMS=timeout_ms) if key is not None}
        overdue = set(await collection.distinct("type", {"due": {"$lte": now}}, maxTimeMS=timeout_ms))
    except OperationFailure as exc:
        if exc.code != _TOO_MANY:
            raise
        raise TooComplexQuery("The names of the types come to more than 16 MB") from exc
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
    rows = await collection.aggregate(_first_stages(key, now), maxTimeMS=timeout_ms)
    shapes: set[_Shape] = {(row["_id"]["k"], tuple(row["_id"]["t"])) async for row in rows}
    if count > FIRST_COUNT:
        await _complete(collection, key, now, shapes, timeout_ms)
    attributes: dict[str, set[str]] = {}
    for name, kinds in shapes:
        attributes.setdefault(name, set()).update(kinds)
    return TypeProfile(count, {name: sorted(kinds) for name, kinds in attributes.items()})


async def _complete(collection: _Collection, key: str, now: str, shapes: set[_Shape], timeout_ms: int) -> None:
    """Adds the shapes that are not among those known, going once through the entities of the type."""
    last = ""
    while True:
        if len(shapes) > _SHAPES_COUNT_MAX:
            raise TooComplexQuery(f"The entities of the type have over {_SHAPES_COUNT_MAX} different attributes")
        condition = {"type": key, "_id": {"$gt": last}, **unexpired(now), "$expr": _has_others(shapes)}
        cursor = collection.find(condition, {"changes": 0, "values": 0, "geo": 0}, limit=_ROUND_COUNT).sort("_id", 1)
        cursor = cursor.hint("type")  # By the ids, everything else would be looked through.
        found = await cursor.max_time_ms(timeout_ms).to_list()
        for item in found:
            last = item["_id"]
            entity = documents.living(item, now)
            if entity is not None:
                shapes.update(
                    (name, tuple(instance["type"] for instance in instances))
                    for name, instances in entity.attributes.items()
                )
        if len(found) < _ROUND_COUNT:
            return


def _has_others(shapes: Iterable[_Shape]) -> dict[str, Any]:
    """An expression: the entity has an attribute of a shape that is not among these."""
    known = [{"k": name, "t": list(kinds)} for name, kinds in sorted(shapes)]
    attributes = {"$objectToArray": {"$ifNull": ["$attrs", {}]}}  # MongoDB may look at a tombstone first.
    own = {"$map": {"input": attributes, "in": {"k": "$$this.k", "t": "$$this.v.type"}}}
    return {"$not": [{"$setIsSubset": [own, {"$literal": known}]}]}


def _first_stages(key: str, now: str) -> list[dict[str, Any]]:
    """The shapes of what has not expired of the first entities of a type."""
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
        {"$limit": FIRST_COUNT},
        {"$project": {"attribute": {"$objectToArray": "$attrs"}}},
        {"$unwind": "$attribute"},
        {"$project": {"key": "$attribute.k", "instances": living}},
        {"$match": {"instances": {"$ne": []}}},
        {"$group": {"_id": {"k": "$key", "t": "$instances.type"}}},
    ]
