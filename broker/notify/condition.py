"""q, geoQ and scopeQ of a subscription as one test of an entity, the very tests that queries make (clause 5.8.6).

`csf` is not among them: it chooses among context sources, and every entity seen here is this broker's own.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import structlog

from ngsi import evaluate, geo_query, query_tree, scope_query
from ngsi.context import Context
from ngsi.entity import Entity
from ngsi.errors import NgsiError
from ngsi.evaluate import Lookup
from ngsi.geo_query import GeoQuery
from ngsi.query_tree import Node
from ngsi.scope_query import ScopeQuery
from ngsi.subscription_filters import condition as parse_q

FILTERING = frozenset({"q", "geoQ", "scopeQ"})
"""Members of a subscription that filter entities by what they contain."""

Test = Callable[[Entity], bool]

log = structlog.get_logger(__name__)


class Filters(NamedTuple):
    """The parts of a condition, read."""

    q: Node | None
    geo: GeoQuery | None
    scopes: ScopeQuery | None


class Condition:
    """Compiled when the first entity has to be tested, as most never are.

    What q says of linked entities is a second test, `holds_with`, as these have to be fetched first.
    """

    __slots__ = ("_context", "_linked", "_lookup", "_members", "_tests")

    def __init__(self, members: Mapping[str, Any], context: Context) -> None:
        self._members = members
        self._context = context
        self._tests: list[Test] | None = None
        self._linked: Test | None = None
        self._lookup: Lookup = _nowhere

    def __call__(self, entity: Entity) -> bool:
        """Whether the entity meets all that can be told from itself."""
        if self._tests is None:
            self._tests = self._compiled()
        return all(test(entity) for test in self._tests)

    @property
    def is_linked(self) -> bool:
        """Whether linked entities are looked at; known once an entity has been tested."""
        return self._linked is not None

    def holds_with(self, entity: Entity, lookup: Lookup) -> bool:
        """Whether the entity meets q, given the linked entities."""
        if self._linked is None:
            return True
        self._lookup = lookup
        try:
            return self._linked(entity)
        finally:
            self._lookup = _nowhere

    def filters(self) -> Filters:
        """What it is made of, for a query that finds the entities that meet it. Raises an NgsiError."""
        members, context = self._members, self._context
        return Filters(
            parse_q(members, context),
            geo_query.parse(members["geoQ"], context) if "geoQ" in members else None,
            scope_query.parse(members["scopeQ"]) if "scopeQ" in members else None,
        )

    def _compiled(self) -> list[Test]:
        members, context = self._members, self._context
        tests: list[Test] = []
        try:
            if (scopes := members.get("scopeQ")) is not None:
                tests.append(scope_query.compile(scope_query.parse(scopes)))
            if (q := parse_q(members, context)) is not None:
                if query_tree.depth(q):
                    self._linked = evaluate.compile(q, lambda entity_id: self._lookup(entity_id))
                else:
                    tests.append(evaluate.compile(q))
            if "geoQ" in members and (geo := geo_query.parse(members["geoQ"], context)) is not None:
                tests.append(geo_query.compile(geo))
        except NgsiError as exc:
            # It could be read when the subscription was made; its @context may have changed since.
            log.error("subscription has a filter that cannot be read; it is told nothing", reason=exc.detail)  # noqa: TRY400
            self._linked = None
            return [_never]
        return tests


def _never(_: Entity) -> bool:
    return False


def _nowhere(_: str) -> Entity | None:
    return None
