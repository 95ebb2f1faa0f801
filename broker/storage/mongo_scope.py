"""A scope query (`ngsi.scope_query`) as a filter on MongoDB documents of entities.

Scopes are an array of texts, held as they were written, with or without the slash in front. Levels hold letters, digits
and "_" only, so that none of them can be an operator of a regular expression.
"""

from typing import Any

from ngsi.scope_query import Pattern, ScopeQuery

Filter = dict[str, Any]


def translate(query: ScopeQuery) -> Filter:
    """The filter that finds the documents of the entities for which the query holds."""
    alternatives = [{"$and": [_matches(pattern) for pattern in patterns]} for patterns in query]
    return alternatives[0] if len(alternatives) == 1 else {"$or": alternatives}


def _matches(pattern: Pattern) -> Filter:
    if not pattern.levels:
        return {"scope": {"$exists": True}}
    if not pattern.deeper and None not in pattern.levels:
        path = "/".join(level for level in pattern.levels if level is not None)
        return {"scope": {"$in": [path, f"/{path}"]}}
    levels = "/".join("[^/]+" if level is None else level for level in pattern.levels)
    return {"scope": {"$regex": rf"^/?{levels}{'(?:/|$)' if pattern.deeper else '$'}"}}
