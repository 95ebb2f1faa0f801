"""What the filters of a subscription (q, geoQ, scopeQ, csf) say of an entity, term by term."""

from collections.abc import Iterator, Mapping
from typing import Any

from broker.notify.finding import Finding, listed
from ngsi import evaluate, geo_query, query_text, scope_query
from ngsi.context import Context
from ngsi.entity import Entity
from ngsi.errors import NgsiError
from ngsi.evaluate import Lookup
from ngsi.linked import objects
from ngsi.names import show
from ngsi.query_tree import Absent, And, Compare, Exists, Linked, Node, Or, PointsTo
from ngsi.subscription_filters import condition


def filter_findings(
    members: Mapping[str, Any], context: Context, entity: Entity, reader: Context, lookup: Lookup
) -> Iterator[Finding]:
    """One finding for each filter of the subscription. `context` is that of q, `reader` has the names for texts."""
    if "q" in members:
        try:
            q = condition(members, context)
        except NgsiError as exc:
            yield Finding("q", False, f"q cannot be read any more: {exc.detail}")
        else:
            assert q is not None
            yield _query(q, entity, reader, lookup)
    if "geoQ" in members:
        yield _geo(members["geoQ"], entity, reader)
    if "scopeQ" in members:
        yield _scope(members["scopeQ"], entity)
    if "csf" in members:
        yield Finding("csf", True, "csf chooses among context sources; the entity is held by this broker itself")


def _query(q: Node, entity: Entity, reader: Context, lookup: Lookup) -> Finding:
    holds = evaluate.compile(q, lookup)(entity)
    parts = tuple(_term(term, entity, reader, lookup) for term in _terms(q))
    written = query_text.text(q, reader)
    return Finding("q", holds, f"{written} {'holds' if holds else 'does not hold'}", parts)


def _terms(q: Node) -> Iterator[Exists | Absent | Compare]:
    match q:
        case And(terms) | Or(terms):
            for term in terms:
                yield from _terms(term)
        case PointsTo():
            return
        case _:
            yield q


def _term(term: Exists | Absent | Compare, entity: Entity, reader: Context, lookup: Lookup) -> Finding:
    passed = evaluate.compile(term, lookup)(entity)
    written = query_text.text(term, reader)
    return Finding(
        "q term", passed, f"{written} {'holds' if passed else 'does not hold'}: {_seen(term, entity, reader)}"
    )


def _seen(term: Exists | Absent | Compare, entity: Entity, reader: Context) -> str:
    target = term.target
    if isinstance(target, Linked):
        name = reader.compact(target.relationship)
        ids = [known for instance in entity.attributes.get(target.relationship, ()) for known in objects(instance)]
        return f"{name} links to {listed(ids)}" if ids else f"{name} links to no entity"
    name = query_text.target_text(target, reader)
    found = evaluate.values(target, entity)
    return f"{name} is {listed(map(show, found))}" if found else f"there is no {name}"


def _geo(members: Mapping[str, Any], entity: Entity, reader: Context) -> Finding:
    try:
        query = geo_query.parse(dict(members), reader)
    except NgsiError as exc:
        return Finding("geoQ", False, f"geoQ cannot be read any more: {exc.detail}")
    assert query is not None
    name = reader.compact(query.geoproperty)
    instances = [item for item in entity.attributes.get(query.geoproperty, ()) if item["type"] == "GeoProperty"]
    if not instances:
        return Finding("geoQ", False, f"there is no GeoProperty {name}")
    holds = geo_query.compile(query)(entity)
    asked = f"{members['georel']} {members['geometry']} {show(members['coordinates'])}"
    seen = listed(show(item["value"]) for item in instances)
    return Finding("geoQ", holds, f"{asked} {'holds' if holds else 'does not hold'}: {name} is {seen}")


def _scope(text: str, entity: Entity) -> Finding:
    holds = scope_query.compile(scope_query.parse(text))(entity)
    seen = f"the scopes are {listed(entity.scopes)}" if entity.scopes else "the entity has no scope"
    return Finding("scopeQ", holds, f"{text} {'holds' if holds else 'does not hold'}: {seen}")
