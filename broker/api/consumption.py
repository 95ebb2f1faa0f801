"""Reading entities: retrieve one, query many (clauses 5.7.1 and 5.7.2, 6.4.3.2 and 6.5.3.1)."""

from typing import Any

from broker.api.answers import paging_headers, with_context
from broker.api.exchange import Answer, Request
from broker.api.parameters import Projection, entity_id, page, projection, representation, selected_types
from broker.api.query_body import read_query
from broker.api.routing import Operation, Resource
from broker.storage.base import EntityQuery, EntitySelector
from ngsi import query, selection
from ngsi.context import CORE
from ngsi.entity import Entity, is_expired
from ngsi.errors import BadRequestData, ResourceNotFound
from ngsi.names import require_uri, show
from ngsi.query_tree import attributes
from ngsi.representation import render
from ngsi.vocabulary import SYSTEM_MEMBERS

_SYSTEM_KEYS = frozenset(CORE.expand(member) for member in SYSTEM_MEMBERS)


async def retrieve_entity(request: Request) -> Answer:
    """Retrieve one entity by its id.

    404 if it does not exist, is not of the `type` given, or has none of the members asked for.
    """
    if not request.parameters:
        return with_context(request, render(await _living_entity(request), request.context))
    form, sysattrs = representation(request)
    shape = projection(request)
    entity = await _living_entity(request)
    reduced = _reduced(entity, shape)
    shown = _project(entity, render(reduced, request.context, form, sysattrs=sysattrs), shape)
    if not shown or (shape.attrs is not None and not reduced.attributes):
        raise ResourceNotFound(f"Entity {entity.id} has none of the members asked for")
    return with_context(request, shown)


async def query_entities(request: Request) -> Answer:
    """Find entities by type, id, attributes and a filter on their values, page by page.

    At least one of `type`, `attrs`, `q` or `local=true` must be given. Results come in the order of their ids.
    """
    return await _query(request, "entities", _selectors(request))


async def query_by_body(request: Request) -> Answer:
    """Find entities as a Query in the body says: what GET /entities has as parameters are its members.

    `entities` lists selectors of type, id and idPattern, of which an entity meets one. Pages and the form of the
    answer are asked for in the URL.
    """
    return await _query(request, "entityOperations/query", read_query(request))


async def _query(request: Request, path: str, selectors: tuple[EntitySelector, ...]) -> Answer:
    """The one road of both ways to query: `request.parameters` says everything but the selectors."""
    form, sysattrs = representation(request)
    wanted = page(request)
    shape = projection(request)
    selected = _entity_query(request, selectors, shape)
    store = request.tenant.entities
    found = (
        [entity async for entity in store.find(selected, offset=wanted.offset, limit=wanted.limit + 1)]
        if wanted.limit
        else []
    )
    more = len(found) > wanted.limit
    headers = paging_headers(request, path, wanted.limit, wanted.offset, more=more)
    if wanted.count:
        headers += ((b"ngsild-results-count", str(await store.count(selected)).encode()),)
    context = request.context
    shown = [
        reduced
        for entity in found[: wanted.limit]
        if (reduced := _project(entity, render(_reduced(entity, shape), context, form, sysattrs=sysattrs), shape))
    ]
    return with_context(request, shown, headers)


async def _living_entity(request: Request) -> Entity:
    known = entity_id(request)
    entity = await request.tenant.reader.get(known)
    if entity is None or (entity.expires_at and is_expired(entity, request.services.clock())):
        raise ResourceNotFound(f"Entity {known} does not exist")
    wanted = request.parameters.get("type")
    if wanted is not None and not selection.selects(selected_types(request, wanted), entity.types):
        raise ResourceNotFound(f"Entity {known} is not of type {show(wanted)}")
    return entity


def _selectors(request: Request) -> tuple[EntitySelector, ...]:
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


def _entity_query(request: Request, selectors: tuple[EntitySelector, ...], shape: Projection) -> EntityQuery:
    """What the request selects; BadRequestData if that is everything (clause 5.7.2, "too wide")."""
    parameters = request.parameters
    expand_values = frozenset(request.names("expandValues") or ())
    q = query.parse(parameters["q"], request.context, expand_values=expand_values) if "q" in parameters else None
    has_type = any(selector.types is not None for selector in selectors)
    names_attribute = shape.attrs is not None and not shape.attrs <= _SYSTEM_KEYS
    if not (has_type or names_attribute or (q and attributes(q)) or request.flag("local")):
        raise BadRequestData("The query is too wide: give type, attrs or q (on an attribute), or local=true")
    return EntityQuery(request.services.clock(), selectors, shape.attrs, q)


def _reduced(entity: Entity, shape: Projection) -> Entity:
    """The entity with the attributes that are wanted."""
    if shape.only is None and not shape.omit and shape.attrs is None:
        return entity
    only = shape.only if shape.only is not None else shape.attrs
    kept = {
        key: instances
        for key, instances in entity.attributes.items()
        if (only is None or key in only) and key not in shape.omit
    }
    return Entity(
        entity.id, entity.types, entity.created_at, entity.modified_at, kept, entity.scopes, entity.expires_at
    )


def _project(entity: Entity, shown: dict[str, Any], shape: Projection) -> dict[str, Any]:
    """Leaves out id, type and scope where pick or omit say so."""
    for member in ("id", "type", "scope"):
        if member in shape.omit or (shape.only is not None and member not in shape.only):
            shown.pop(member, None)
    return shown


_READ_LATER = frozenset({"lang", "datasetId", "join", "joinLevel", "containedBy", "geometryProperty", "entityMap"})
_QUERY_LATER = _READ_LATER | {
    "scopeQ",
    "csf",
    "georel",
    "geometry",
    "coordinates",
    "geoproperty",
    "jsonKeys",
    "orderBy",
    "collation",
    "orderFrom",
    "orderGeometry",
    "splitEntities",
    "entityMapLifetime",
}
_PAGED = frozenset({"limit", "offset", "count", "local", "format", "options"})
_SHOWN = frozenset({"format", "options", "attrs", "pick", "omit", "local", "type"})

RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entities/{entityId}",
        {
            "GET": Operation(
                "retrieveEntity",
                "5.7.1",
                retrieve_entity,
                parameters=_SHOWN,
                later=_READ_LATER,
                answers={200: "The entity", 404: "No such entity"},
            ),
        },
    ),
    Resource(
        "/ngsi-ld/v1/entities",
        {
            "GET": Operation(
                "queryEntities",
                "5.7.2",
                query_entities,
                parameters=_SHOWN | {"id", "idPattern", "q", "limit", "offset", "count", "expandValues"},
                later=_QUERY_LATER,
                answers={200: "The entities found, perhaps none", 403: "limit is too large"},
            ),
        },
    ),
    Resource(
        "/ngsi-ld/v1/entityOperations/query",
        {
            "POST": Operation(
                "queryBatch",
                "5.7.2",
                query_by_body,
                parameters=_PAGED,
                later=frozenset({"geometryProperty"}),
                body="Query",
                answers={200: "The entities found, perhaps none", 403: "limit is too large"},
            ),
        },
    ),
]
