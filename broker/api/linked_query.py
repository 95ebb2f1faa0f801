"""Conditions on linked entities, `q=rel{attr}…`, made into conditions on the entities themselves (clause 4.9).

The innermost condition is asked of the storage first: the ids that meet it take its place. So a query costs one more
look-up for each such term, and the number of ids in between is bounded.
"""

from dataclasses import replace

from broker.storage.base import EntityQuery, EntitySelector, EntityStore
from ngsi import query_tree
from ngsi.errors import BadRequestData, TooManyResults
from ngsi.presentation import Presentation
from ngsi.query_tree import Absent, And, Linked, Node, Or, PointsTo

LINKED_IDS_MAX = 10_000
"""Entities that may meet the condition on the linked ones."""


def require_joined(q: Node, view: Presentation) -> None:
    """BadRequestData if a query looks at entities farther away than the answer may show them (clause 5.7.2)."""
    depth = query_tree.depth(q)
    if depth > view.join_level:
        raise BadRequestData(
            f"q looks at entities {depth} links away; "
            + (f"joinLevel is {view.join_level}" if view.join_level else "add join=inline or join=flat")
        )


async def resolved(q: Node, store: EntityStore, now: str) -> Node:
    """The query without conditions on linked entities. Raises TooManyResults if too many meet one of them."""
    match q:
        case And(terms) | Or(terms):
            return replace(q, terms=tuple([await resolved(term, store, now) for term in terms]))
        case PointsTo():
            return q
    target = q.target
    if not isinstance(target, Linked):
        return q
    inside = await resolved(query_tree.inner(q), store, now)
    of_type = EntitySelector(types=tuple(frozenset({key}) for key in target.types))
    wanted = EntityQuery(now, (of_type,) if target.types else (), q=inside)
    ids = await store.find_ids(wanted, limit=LINKED_IDS_MAX + 1)
    if len(ids) > LINKED_IDS_MAX:
        raise TooManyResults(
            f"More than {LINKED_IDS_MAX} entities meet the condition on linked entities; narrow it, or name their "
            "type as in rel{Type:attr}"
        )
    return PointsTo(target.relationship, frozenset(ids), negated=isinstance(q, Absent))
