"""An EntityQuery as a MongoDB filter on entity documents."""

from typing import Any

from broker.storage import mongo_filter
from broker.storage.base import EntityQuery
from ngsi import pattern
from ngsi.selection import Alternatives


def entity_filter(query: EntityQuery) -> dict[str, Any]:
    """The filter; tombstones and expired entities never meet it."""
    conditions: list[dict[str, Any]] = [_types(query.types), {"expiresAt": {"$not": {"$lte": query.now}}}]
    if query.ids is not None:
        conditions.append({"_id": {"$in": list(query.ids)}})
    if query.id_pattern is not None:
        conditions.append({"_id": {"$regex": pattern.parse(query.id_pattern).pcre}})
    if query.attributes is not None:
        conditions.append({"$or": [{f"attrs.{key}": {"$exists": True}} for key in sorted(query.attributes)]})
    if query.q is not None:
        conditions.append(mongo_filter.translate(query.q))
    return {"$and": conditions}


def _types(wanted: Alternatives | None) -> dict[str, Any]:
    """At least one alternative, all its types; any type will do for the empty alternative, but no tombstone has one."""
    if wanted is None or frozenset() in wanted:
        return {"type": {"$exists": True}}
    if all(len(alternative) == 1 for alternative in wanted):
        return {"type": {"$in": sorted(key for alternative in wanted for key in alternative)}}
    return {"$or": [{"type": {"$all": sorted(alternative)}} for alternative in wanted]}
