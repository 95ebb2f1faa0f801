"""Which entities a query or a purge is about: the parameters that select (clauses 5.7.2, 6.4.3.2 and 6.4.3.3)."""

from broker.api.exchange import Request
from broker.api.parameters import selected_types
from broker.storage.base import EntityQuery, EntitySelector
from ngsi import geo_query, ordering, query, scope_query
from ngsi.context import CORE
from ngsi.errors import BadRequestData
from ngsi.names import require_uri
from ngsi.ordering import Order
from ngsi.query_tree import attributes
from ngsi.selection import EVERY
from ngsi.vocabulary import SYSTEM_MEMBERS

_SYSTEM_KEYS = frozenset(CORE.expand(member) for member in SYSTEM_MEMBERS)

FILTERING = frozenset(
    {"type", "id", "idPattern", "attrs", "q", "csf", "jsonKeys", "expandValues", "local", "scopeQ"}
    | {"georel", "geometry", "coordinates", "geoproperty"}
)
"""Parameters that `selectors` and `entity_query` read."""

ORDERING = frozenset({"orderBy", "collation", "orderFrom", "orderGeometry"})
"""Parameters that `order` reads."""


def selectors(request: Request) -> tuple[EntitySelector, ...]:
    """type, id and idPattern of the URL."""
    parameters = request.parameters
    ids = request.names("id")
    for item in ids or ():
        require_uri(item, "Parameter id:")
    types = selected_types(request, parameters["type"]) if "type" in parameters else None
    id_pattern = parameters.get("idPattern")
    if types is None and ids is None and id_pattern is None:
        return ()
    return (EntitySelector(types, None if ids is None else tuple(ids), id_pattern),)


def entity_query(request: Request, chosen: tuple[EntitySelector, ...], attrs: frozenset[str] | None) -> EntityQuery:
    """What the request selects; BadRequestData if that is everything (clause 5.7.2, "too wide")."""
    parameters = request.parameters
    expand_values = frozenset(request.names("expandValues") or ())
    q = query.parse(parameters["q"], request.context, expand_values=expand_values) if "q" in parameters else None
    is_local = request.flag("local")
    if not is_local and "local" in parameters and any(selector.types == EVERY for selector in chosen):
        raise BadRequestData("The type * stands for the types of this broker only: local=false cannot go with it")
    has_type = any(selector.types is not None for selector in chosen)
    names_attribute = attrs is not None and not attrs <= _SYSTEM_KEYS
    if "csf" in parameters:
        query.parse(parameters["csf"], request.context)  # there are no context sources that it could choose from
    geo = geo_query.parse(parameters, request.context)
    if not (has_type or names_attribute or (q and attributes(q)) or geo or is_local):
        raise BadRequestData("The query is too wide: give type, attrs, q (on an attribute) or georel, or local=true")
    scopes = scope_query.parse(parameters["scopeQ"]) if "scopeQ" in parameters else None
    return EntityQuery(request.services.clock(), chosen, attrs, q, geo, scopes)


def order(request: Request) -> Order | None:
    """The order that is asked for (clause 4.23); None: by id."""
    parameters = request.parameters
    if "orderBy" not in parameters:
        return None
    return ordering.parse(
        parameters["orderBy"],
        request.context,
        collation=parameters.get("collation"),
        origin=parameters.get("orderFrom"),
        geometry=parameters.get("orderGeometry"),
    )
