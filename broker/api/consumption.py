"""Reading entities: retrieve one, query many (clauses 5.7.1 and 5.7.2, 6.4.3.2 and 6.5.3.1)."""

from dataclasses import replace
from functools import partial
from typing import Any

from broker.api.answers import Headers, paging_headers, preference_applied, with_context
from broker.api.entity_maps import MAPPING, Used, is_mapped, map_of_entity, map_of_query
from broker.api.exchange import Answer, Request
from broker.api.linked_query import require_joined, resolved
from broker.api.long_array import LongArray
from broker.api.long_page import fill_page
from broker.api.parameters import Page, entity_id, page, selected_types
from broker.api.presentation import presentation
from broker.api.query_body import read_query
from broker.api.routing import Operation, Resource
from broker.api.selecting import FILTERING, ORDERING, entity_query, order, selectors
from broker.joined import collected, show_joined
from broker.storage.base import EntityQuery, EntitySelector
from ngsi import selection
from ngsi.entity import Entity
from ngsi.errors import ResourceNotFound
from ngsi.names import show
from ngsi.presentation import Presentation
from ngsi.representation import render


async def retrieve_entity(request: Request) -> Answer:
    """Retrieve one entity by its id.

    404 if it does not exist, is not of the `type` given, or has none of the members asked for.
    """
    headers = request.headers
    if not request.parameters and b"prefer" not in headers and b"ngsild-entitymap" not in headers:
        return with_context(request, render(await _living_entity(request), request.context))
    view = presentation(request)
    entity = await _living_entity(request)
    shown = await _shown(request, view, [entity])
    attrs = view.projection.attrs
    if not shown or (attrs is not None and attrs.isdisjoint(entity.attributes)):
        raise ResourceNotFound(f"Entity {entity.id} has none of the members asked for")
    is_alone = view.join != "flat" or len(shown) == 1
    used = (await map_of_entity(request, entity.id)).headers if is_mapped(request) else ()
    return _answer(request, view, shown[0] if is_alone else shown, used)


async def query_entities(request: Request) -> Answer:
    """Find entities by type, id, attributes and a filter on their values, page by page.

    At least one of `type`, `attrs`, `q`, `georel` or `local=true` must be given. Results come in the order of their
    ids, or in that of `orderBy`.
    """
    return await _query(request, "entities", selectors(request))


async def query_by_body(request: Request) -> Answer:
    """Find entities as a Query in the body says: what GET /entities has as parameters are its members.

    `entities` lists selectors of type, id and idPattern, of which an entity meets one. Pages and the form of the
    answer are asked for in the URL.
    """
    return await _query(request, "entityOperations/query", read_query(request))


async def _query(request: Request, path: str, chosen: tuple[EntitySelector, ...]) -> Answer:
    """The one road of both ways to query: `request.parameters` says everything but the selectors."""
    view = presentation(request)
    wanted = page(request)
    selected = replace(entity_query(request, chosen, view.projection.attrs), order=order(request))
    store = request.tenant.entities
    if selected.q is not None:
        require_joined(selected.q, view)
        if view.join_level:
            selected = replace(selected, q=await resolved(selected.q, store, selected.now))
    used: Used | None = None
    if is_mapped(request):
        selected, used = await map_of_query(request, selected)
    payload, more = await _page(request, view, selected, wanted)
    headers = paging_headers(request, path, wanted.limit, wanted.offset, more=more)
    if wanted.count:
        headers += ((b"ngsild-results-count", str(await store.count(selected)).encode()),)
    if used is None:
        return _answer(request, view, payload, headers)
    answer = _answer(request, view, payload, headers + used.headers)
    return answer._replace(status=201) if used.is_new else answer


async def _page(
    request: Request, view: Presentation, selected: EntityQuery, wanted: Page
) -> tuple[LongArray | list[dict[str, Any]], bool]:
    """The entities of a page, encoded as they come, and whether there are more behind it."""
    store = request.tenant.entities
    if view.join_level and wanted.limit:
        entities = await collected(store.find(selected, offset=wanted.offset, limit=wanted.limit + 1))
        return await _shown(request, view, entities[: wanted.limit]), len(entities) > wanted.limit
    array = LongArray(request)
    # Whether the status is 200 or 203 is known when all have been seen.
    more = await fill_page(array, partial(store.find, selected), view.shown, wanted, hold=view.version is not None)
    return array, more


async def _shown(request: Request, view: Presentation, entities: list[Entity]) -> list[dict[str, Any]]:
    """The entities as JSON objects, with linked ones if asked for; without those of which nothing is wanted."""
    if view.join_level:
        joined, linked = await show_joined(request.tenant.reader.get_all, view, entities)
        return [shown for shown in (*joined, *linked.values()) if shown]
    return [shown for entity in entities if (shown := view.shown(entity))]


def _answer(request: Request, view: Presentation, payload: Any, headers: Headers = ()) -> Answer:
    """200 with entities, or 203 if they had to be altered for the version preferred (clause 6.3.20)."""
    answer = with_context(request, payload, headers + preference_applied(view.version))
    return answer._replace(status=203) if view.is_altered else answer


async def _living_entity(request: Request) -> Entity:
    known = entity_id(request)
    entity = await request.tenant.reader.get(known)
    if entity is None:
        raise ResourceNotFound(f"Entity {known} does not exist")
    wanted = request.parameters.get("type")
    if wanted is not None and not selection.selects(selected_types(request, wanted), entity.types):
        raise ResourceNotFound(f"Entity {known} is not of type {show(wanted)}")
    return entity


_PAGED = frozenset({"limit", "offset", "count", "local", "format", "options", "geometryProperty"})
_JOINING = frozenset({"join", "joinLevel", "containedBy"})
_FORM = frozenset({"format", "options", "lang", "geometryProperty"})
_SHOWN = _JOINING | _FORM | MAPPING | {"attrs", "pick", "omit", "datasetId", "local", "type"}
_ALTERED = "The same, altered for the version of the standard that Prefer names"
_FOUND = {
    200: "The entities found, perhaps none",
    201: "The same; an entity map was made of all that was found",
    203: _ALTERED,
    403: "limit is too large, or an entity map would be",
}

RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entities/{entityId}",
        {
            "GET": Operation(
                "retrieveEntity",
                "5.7.1",
                retrieve_entity,
                parameters=_SHOWN,
                answers={200: "The entity", 203: _ALTERED, 404: "No such entity"},
                offers_geojson=True,
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
                parameters=_SHOWN | FILTERING | ORDERING | {"limit", "offset", "count", "splitEntities"},
                answers=_FOUND,
                offers_geojson=True,
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
                body="Query",
                answers=_FOUND,
                offers_geojson=True,
            ),
        },
    ),
]
