"""Queries for entities on MongoDB, with what MongoDB cannot do itself: exact geometry, distances, collations.

The filter finds what may be wanted, and in most cases just what is. Where it has a geo-query in it, each entity found
is compared exactly on its way to the client; pages and counts are those of the entities that passed.

Who asks no further closes the generator, and with it all those inside and the cursor of MongoDB.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from pymongo import ASCENDING
from pymongo.asynchronous.collection import AsyncCollection

from broker.storage import mongo_collation
from broker.storage import mongo_documents as documents
from broker.storage.base import EntityQuery
from broker.storage.mongo_batches import decoded
from broker.storage.mongo_entity_filter import entity_filter
from broker.storage.mongo_geo import PIECES_TO_COUNT, geo_filter
from broker.storage.mongo_order import sort_stages
from ngsi import geo_query
from ngsi.entity import Entity
from ngsi.errors import TooComplexQuery
from ngsi.ordering import STRING, Key, Order, in_order
from ngsi.vocabulary import NO_DATASET

COMPARED_MAX = 200_000
"""Entities that one request may have compared or sorted here, outside MongoDB."""

_BATCH_COUNT = 500
"""Documents that MongoDB sends at a time, as far as they fit its 16 MB."""

_Collection = AsyncCollection[dict[str, Any]]
_HIDDEN = {"changes": 0, "geo": 0, "values": 0}


def find(
    collection: _Collection, query: EntityQuery, *, offset: int, limit: int, timeout_ms: int
) -> AsyncGenerator[Entity]:
    """The page of the entities that the query wants, in the order it wants, by id if it wants none."""
    order = query.order
    if order is not None and (order.collation is not None or order.origin is not None):
        return _sorted_in_memory(collection, query, order, offset, limit, timeout_ms)
    if query.geo is None:
        return _all(collection, query, {"skip": offset, "limit": limit}, timeout_ms)
    return _page(_meeting(_all(collection, query, {}, timeout_ms), query), offset, limit)


async def count(collection: _Collection, query: EntityQuery, *, timeout_ms: int) -> int:
    """How many entities the query wants; those that the index is certain of are not read."""
    conditions = entity_filter(replace(query, geo=None))
    if query.geo is None:
        return await collection.count_documents(conditions, maxTimeMS=timeout_ms)
    located = geo_filter(query.geo, query.now, PIECES_TO_COUNT)
    number = 0
    for sign, part in located.counted:
        number += sign * await collection.count_documents({"$and": [conditions, part]}, maxTimeMS=timeout_ms)
    cursor = collection.find_raw_batches(
        {"$and": [conditions, located.doubtful]},
        _projection(frozenset({query.geo.geoproperty})),
        batch_size=_BATCH_COUNT,
    ).max_time_ms(timeout_ms)
    async for _ in _meeting(_entities(cursor, query.now), query):
        number += 1
    return number


async def find_ids(
    collection: _Collection, query: EntityQuery, *, after: str, limit: int, timeout_ms: int
) -> list[str]:
    """The first ids behind `after`, in their order."""
    conditions = entity_filter(query)
    if after:
        conditions = {"$and": [{"_id": {"$gt": after}}, conditions]}
    if query.geo is None:
        plain = collection.find(conditions, {"_id": 1}, limit=limit).sort("_id", ASCENDING).max_time_ms(timeout_ms)
        return [item["_id"] for item in await plain.to_list()]
    needed = _projection(frozenset({query.geo.geoproperty}))
    cursor = collection.find_raw_batches(conditions, needed, batch_size=_BATCH_COUNT).sort("_id", ASCENDING)
    found = _page(_meeting(_entities(cursor.max_time_ms(timeout_ms), query.now), query), 0, limit)
    return [entity.id async for entity in found]


def _all(collection: _Collection, query: EntityQuery, page: dict[str, int], timeout_ms: int) -> AsyncGenerator[Entity]:
    """What the filter finds, sorted by MongoDB; `page`: skip and limit."""
    if query.order is not None:
        return _sorted(collection, query, query.order, page, timeout_ms)
    cursor = collection.find_raw_batches(entity_filter(query), _HIDDEN, batch_size=_BATCH_COUNT, **page)
    return _entities(cursor.sort("_id", ASCENDING).max_time_ms(timeout_ms), query.now)


async def _sorted(
    collection: _Collection, query: EntityQuery, order: Order, page: dict[str, int], timeout_ms: int
) -> AsyncGenerator[Entity]:
    stages: list[dict[str, Any]] = [
        {"$match": entity_filter(query)},
        {"$unset": list(_HIDDEN)},
        *sort_stages(order, query.now),
    ]
    stages += [{f"${stage}": number} for stage, number in page.items() if number]
    batches = await collection.aggregate_raw_batches(
        stages, batchSize=_BATCH_COUNT, allowDiskUse=True, maxTimeMS=timeout_ms
    )
    async with aclosing(_entities(batches, query.now)) as found:
        async for entity in found:
            yield entity


async def _sorted_in_memory(
    collection: _Collection, query: EntityQuery, order: Order, offset: int, limit: int, timeout_ms: int
) -> AsyncGenerator[Entity]:
    """Reads the sort keys of all, sorts them, then reads the page."""
    collation = None if order.collation is None else mongo_collation.translate(order.collation)
    needed = order.attributes if query.geo is None else order.attributes | {query.geo.geoproperty}
    cursor = collection.find_raw_batches(entity_filter(query), _projection(needed), batch_size=_BATCH_COUNT)
    rows: list[tuple[str, list[Key]]] = []
    async with aclosing(_meeting(_entities(cursor.max_time_ms(timeout_ms), query.now), query)) as meeting:
        async for entity in meeting:
            rows.append((entity.id, order.keys(entity)))
            _require_bounded(len(rows))
    if collation is not None:
        texts = {key.value for _, keys in rows for key in keys if key.rank == STRING}
        ranks = await mongo_collation.ranks(collection.database, texts, collation, timeout_ms)
        rows = [
            (name, [key._replace(value=ranks[key.value]) if key.rank == STRING else key for key in keys])
            for name, keys in rows
        ]
    ids = in_order(rows, order)[offset : offset + limit]
    page = collection.find_raw_batches({"_id": {"$in": ids}}, _HIDDEN, batch_size=_BATCH_COUNT).max_time_ms(timeout_ms)
    found = {entity.id: entity async for entity in _entities(page, query.now)}
    for name in ids:
        if name in found:
            yield found[name]


async def _entities(batches: Any, now: str) -> AsyncGenerator[Entity]:
    """The entities, of batches of BSON documents, without what has expired of them."""
    async with batches:
        async for batch in batches:
            for item in decoded(batch):
                entity = documents.living(item, now)
                if entity is not None:
                    yield entity


async def _meeting(entities: AsyncGenerator[Entity], query: EntityQuery) -> AsyncGenerator[Entity]:
    """Those of the entities that meet the geo-query, if there is one."""
    test = None if query.geo is None else geo_query.compile(query.geo)
    compared = 0
    async with aclosing(entities):
        async for entity in entities:
            if test is None:
                yield entity
                continue
            compared += 1
            _require_bounded(compared)
            if test(entity):
                yield entity


async def _page(entities: AsyncGenerator[Entity], offset: int, limit: int) -> AsyncGenerator[Entity]:
    number = 0
    async with aclosing(entities):
        async for entity in entities:
            number += 1
            if number > offset:
                yield entity
            if number == offset + limit:
                return


def _require_bounded(number: int) -> None:
    if number > COMPARED_MAX:
        raise TooComplexQuery(
            f"Over {COMPARED_MAX} entities would have to be compared one by one; name a type, a smaller area or a q"
        )


def _projection(attributes: frozenset[str]) -> dict[str, int]:
    """What is needed of a document to sort it or test it by these attributes."""
    # The last one is no key of an attribute: with it there are `attrs` in the document in any case.
    paths = [f"attrs.{key}" for key in (*attributes, NO_DATASET)]
    members = ("type", "scope", "createdAt", "modifiedAt", "expiresAt", "due", *paths)
    return dict.fromkeys(members, 1)
