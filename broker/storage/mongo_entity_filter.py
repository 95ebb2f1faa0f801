"""An EntityQuery as a MongoDB filter on entity documents."""

from typing import Any

from broker.storage import mongo_filter, mongo_geo, mongo_scope, mongo_values
from broker.storage.base import EntityQuery, EntitySelector
from ngsi import pattern
from ngsi.selection import Alternatives


def entity_filter(query: EntityQuery) -> dict[str, Any]:
    """The filter; tombstones and expired entities never meet it. A geo-query has to be decided on what it finds."""
    conditions = [*_selected(query.selectors), mongo_filter.unexpired(query.now)]
    if query.among is not None:
        conditions.append({"_id": {"$in": list(query.among)}})
    if query.attributes is not None:
        living = {"$elemMatch": mongo_filter.unexpired(query.now)}
        conditions.append({"$or": [{f"attrs.{key}": living} for key in sorted(query.attributes)]})
    if query.q is not None:
        conditions.append(mongo_filter.translate(query.q, query.now))
        conditions += mongo_values.narrowing(query.q, query.selectors)
    if query.scopes is not None:
        conditions.append(mongo_scope.translate(query.scopes))
    if query.geo is not None:
        conditions.append(mongo_geo.geo_filter(query.geo, query.now).candidates)
    return {"$and": conditions}


def _selected(selectors: tuple[EntitySelector, ...]) -> list[dict[str, Any]]:
    """Conditions that together say: one of the selectors. No tombstone has a type."""
    if not selectors:
        return [_types(None)]
    if len(selectors) == 1:
        return _one(selectors[0])
    return [{"$or": [{"$and": _one(selector)} for selector in selectors]}]


def _one(selector: EntitySelector) -> list[dict[str, Any]]:
    conditions = [_types(selector.types)]
    if selector.ids is not None:
        conditions.append({"_id": {"$in": list(selector.ids)}})
    elif selector.id_pattern is not None:
        conditions.append({"_id": {"$regex": pattern.parse(selector.id_pattern).pcre}})
    return conditions


def _types(wanted: Alternatives | None) -> dict[str, Any]:
    """At least one alternative, all its types; any type will do for the empty alternative, but no tombstone has one."""
    if wanted is None or frozenset() in wanted:
        return {"type": {"$exists": True}}
    if all(len(alternative) == 1 for alternative in wanted):
        return {"type": {"$in": sorted(key for alternative in wanted for key in alternative)}}
    return {"$or": [{"type": {"$all": sorted(alternative)}} for alternative in wanted]}
