"""Entities and their attributes: /entities, /entities/{entityId} and below (clauses 5.6, 5.7, 6.4 to 6.7)."""

from functools import partial
from typing import Any

from broker.api.answers import NO_CONTENT, created, paging_headers, update_result, with_context
from broker.api.exchange import Answer, Request
from broker.api.parameters import (
    Projection,
    attribute_key,
    entity_id,
    options,
    page,
    projection,
    representation,
)
from broker.api.routing import Operation, Resource, not_offered
from broker.storage.base import EntityQuery
from ngsi import patch, query, selection
from ngsi.context import CORE
from ngsi.document import read_entity, read_fragment
from ngsi.entity import Entity, is_expired
from ngsi.errors import BadRequestData, InvalidRequest, ResourceNotFound
from ngsi.names import is_uri, require_uri, show
from ngsi.query_tree import attributes
from ngsi.representation import render
from ngsi.vocabulary import NO_DATASET, SYSTEM_MEMBERS


async def create_entity(request: Request) -> Answer:
    """Create an entity.

    The body is a whole entity, normalized or concise. 409 if its id is taken.
    """
    fragment = read_entity(_object(request), request.context)
    assert fragment.id is not None
    change = partial(patch.create, fragment)
    await request.tenant.committer.submit(fragment.id, change, request.request_id, is_creation=True)
    return created("entities", fragment.id)


async def query_entities(request: Request) -> Answer:
    """Find entities by type, id, attributes and a filter on their values, page by page.

    At least one of `type`, `attrs`, `q` or `local=true` must be given. Results come in the order of their ids.
    """
    form, sysattrs = representation(request)
    wanted = page(request)
    shape = projection(request)
    selected = _entity_query(request, shape)
    store = request.tenant.entities
    found = (
        [entity async for entity in store.find(selected, offset=wanted.offset, limit=wanted.limit + 1)]
        if wanted.limit
        else []
    )
    more = len(found) > wanted.limit
    headers = paging_headers(request, "entities", wanted.limit, wanted.offset, more=more)
    if wanted.count:
        headers += ((b"ngsild-results-count", str(await store.count(selected)).encode()),)
    context = request.context
    shown = [
        reduced
        for entity in found[: wanted.limit]
        if (reduced := _project(entity, render(_reduced(entity, shape), context, form, sysattrs=sysattrs), shape))
    ]
    return with_context(request, shown, headers)


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


async def delete_entity(request: Request) -> Answer:
    """Delete an entity with all its attributes."""
    known = entity_id(request)
    await _write(request, known, partial(patch.delete_entity, entity_id=known))
    return NO_CONTENT


async def append_attributes(request: Request) -> Answer:
    """Add attributes to an entity; those it has are replaced, or with `options=noOverwrite` left as they are.

    204 when every attribute was written, else 207 with what was and what was not.
    """
    known = entity_id(request)
    overwrite = "noOverwrite" not in options(request, {"noOverwrite"})
    fragment = read_fragment(_object(request), request.context, nulls=False)
    change = partial(patch.append_attributes, fragment, overwrite, entity_id=known)
    return update_result(await _write(request, known, change))


async def update_attributes(request: Request) -> Answer:
    """Update attributes of an entity: replaced or added, or deleted by the value urn:ngsi-ld:null.

    204 when every attribute was written, else 207 with what was and what was not.
    """
    known = entity_id(request)
    fragment = read_fragment(_object(request), request.context, nulls=True)
    change = partial(patch.update_attributes, fragment, entity_id=known)
    return update_result(await _write(request, known, change))


async def delete_attribute(request: Request) -> Answer:
    """Delete an attribute of an entity: the default instance, the one of `datasetId`, or with `deleteAll=true` all."""
    known = entity_id(request)
    dataset_id = request.parameters.get("datasetId", NO_DATASET)
    if dataset_id != NO_DATASET and not is_uri(dataset_id):
        raise BadRequestData(f"datasetId={show(dataset_id)} is not a URI")
    change = partial(
        patch.delete_attribute, attribute_key(request), dataset_id, request.flag("deleteAll"), entity_id=known
    )
    await _write(request, known, change)
    return NO_CONTENT


def _object(request: Request) -> dict[str, Any]:
    body = request.read_body()
    if not isinstance(body, dict):
        raise InvalidRequest(f"The body must be one JSON object; batches go to /entityOperations. It is {show(body)}")
    return body


async def _write(request: Request, entity_id: str, change: patch.Patch) -> patch.Patched:
    """Applies a patch durably, if the entity is of the `type` given (clause 4.17): else it counts as not there."""
    if "type" in request.parameters:
        change = partial(_if_of_type, _selected_types(request, request.parameters["type"]), change, entity_id)
    return await request.tenant.committer.submit(entity_id, change, request.request_id)


def _if_of_type(
    wanted: selection.Alternatives, change: patch.Patch, entity_id: str, entity: Entity | None, now: str
) -> patch.Patched:
    if entity is not None and not selection.selects(wanted, entity.types):
        raise ResourceNotFound(f"Entity {entity_id} is not of the type asked for")
    return change(entity, now)


async def _living_entity(request: Request) -> Entity:
    known = entity_id(request)
    entity = await request.tenant.reader.get(known)
    if entity is None or (entity.expires_at and is_expired(entity, request.services.clock())):
        raise ResourceNotFound(f"Entity {known} does not exist")
    wanted = request.parameters.get("type")
    if wanted is not None and not selection.selects(_selected_types(request, wanted), entity.types):
        raise ResourceNotFound(f"Entity {known} is not of type {show(wanted)}")
    return entity


def _entity_query(request: Request, shape: Projection) -> EntityQuery:
    """What the parameters select; BadRequestData if that is everything (clause 5.7.2, "too wide")."""
    parameters = request.parameters
    ids = request.names("id")
    for item in ids or ():
        require_uri(item, "Parameter id:")
    types = _selected_types(request, parameters["type"]) if "type" in parameters else None
    expand_values = frozenset(request.names("expandValues") or ())
    q = query.parse(parameters["q"], request.context, expand_values=expand_values) if "q" in parameters else None
    if not (types or (shape.attrs and shape.attrs - _SYSTEM_KEYS) or (q and attributes(q)) or request.flag("local")):
        raise BadRequestData("The query is too wide: give type, attrs or q (on an attribute), or local=true")
    return EntityQuery(
        now=request.services.clock(),
        ids=tuple(ids) if ids else None,
        id_pattern=parameters.get("idPattern") if not ids else None,
        types=types,
        attributes=shape.attrs,
        q=q,
    )


_SYSTEM_KEYS = frozenset(CORE.expand(member) for member in SYSTEM_MEMBERS)


def _selected_types(request: Request, expression: str) -> selection.Alternatives:
    return selection.alternatives(selection.expand(expression, request.context))


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
_FORMAT = frozenset({"format", "options", "attrs", "pick", "omit", "local"})
_LOCAL = frozenset({"local"})
_GATED = _LOCAL | {"type"}

_WRITTEN = {204: "Done", 207: "Partly done: see updated and notUpdated", 404: "No such entity"}

RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entities/{entityId}",
        {
            "GET": Operation(
                "retrieveEntity",
                "5.7.1",
                retrieve_entity,
                parameters=_FORMAT | {"type"},
                later=_READ_LATER,
                answers={200: "The entity", 404: "No such entity"},
            ),
            "DELETE": Operation(
                "deleteEntity",
                "5.6.6",
                delete_entity,
                parameters=_GATED,
                answers={204: "Deleted", 404: "No such entity"},
            ),
            "PUT": Operation("replaceEntity", "5.6.18", not_offered, parameters=_GATED),
            "PATCH": Operation("mergeEntity", "5.6.17", not_offered, parameters=_GATED),
        },
    ),
    Resource(
        "/ngsi-ld/v1/entities/{entityId}/attrs",
        {
            "PATCH": Operation(
                "updateAttributes",
                "5.6.2",
                update_attributes,
                parameters=_GATED,
                body="EntityFragment",
                answers=_WRITTEN,
            ),
            "POST": Operation(
                "appendAttributes",
                "5.6.3",
                append_attributes,
                parameters=_GATED | {"options"},
                body="EntityFragment",
                answers=_WRITTEN,
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
                parameters=_FORMAT | {"type", "id", "idPattern", "q", "limit", "offset", "count", "expandValues"},
                later=_QUERY_LATER,
                answers={200: "The entities found, perhaps none", 403: "limit is too large"},
            ),
            "POST": Operation(
                "createEntity",
                "5.6.1",
                create_entity,
                parameters=_LOCAL,
                body="Entity",
                answers={201: "Created; Location has its address", 409: "The id is taken"},
                creates_tenant=True,
            ),
            "DELETE": Operation("purgeEntities", "5.6.21", not_offered, later=_QUERY_LATER | _FORMAT),
        },
    ),
    Resource(
        "/ngsi-ld/v1/entities/{entityId}/attrs/{attributeName}",
        {
            "DELETE": Operation(
                "deleteAttribute",
                "5.6.5",
                delete_attribute,
                parameters=_GATED | {"datasetId", "deleteAll"},
                answers={204: "Deleted", 404: "No such entity or attribute"},
            ),
            "PATCH": Operation("updateAttribute", "5.6.4", not_offered, parameters=_GATED),
            "PUT": Operation("replaceAttribute", "5.6.19", not_offered, parameters=_GATED),
        },
    ),
]
