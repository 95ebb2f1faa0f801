"""Entity maps: /entityMaps, and queries that make or use one (clauses 5.14, 5.5.9.3 and 6.32 to 6.34)."""

from dataclasses import dataclass, replace

from broker.api.answers import NO_CONTENT, with_context
from broker.api.exchange import Answer, Request
from broker.api.linked_query import resolved
from broker.api.presentation import presentation
from broker.api.query_body import read_query
from broker.api.routing import Operation, Resource
from broker.api.selecting import FILTERING, entity_query, selectors
from broker.entity_maps import IDS_COUNT_MAX, EntityMap
from broker.storage.base import EntityQuery, EntitySelector
from ngsi.datetimes import require_expiry
from ngsi.durations import require_duration_s
from ngsi.errors import BadRequestData, InvalidRequest, ResourceNotFound
from ngsi.names import is_uri, require_uri, show

MAPPING = frozenset({"entityMap", "entityMapLifetime"})
"""Parameters that `is_mapped` and those behind it read."""

_PATH = "/ngsi-ld/v1/entityMaps/"
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Used:
    """The map that goes with an answer, and whether it was made for it."""

    map: EntityMap
    is_new: bool

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What tells the client of the map."""
        return ((b"ngsild-entitymap", f"{_PATH}{self.map.id}".encode()),)


def is_mapped(request: Request) -> bool:
    """Whether the request makes or uses a map."""
    if not MAPPING.isdisjoint(request.parameters):
        _lifetime_s(request)
        if request.flag("entityMap"):
            return True
    return b"ngsild-entitymap" in request.headers


async def map_of_query(request: Request, selected: EntityQuery) -> tuple[EntityQuery, Used]:
    """The query held to the set of its map: the one that the request names, or else a new one.

    What the query does not find any more goes out of the map.
    """
    known = await _named(request)
    if known is None:
        made = await _made(request, selected)
        return replace(selected, among=made.ids), Used(made, is_new=True)
    selected = replace(selected, among=known.ids)
    ids = tuple(await request.tenant.entities.find_ids(selected, limit=IDS_COUNT_MAX))
    if len(ids) < len(known.ids):
        await request.tenant.entity_maps.narrow(known, ids)
    return replace(selected, among=ids), Used(known, is_new=False)


async def map_of_entity(request: Request, entity_id: str) -> Used:
    """The map for the answer with one entity."""
    known = await _named(request)
    if known is not None:
        return Used(known, is_new=False)
    return Used(await request.tenant.entity_maps.create([entity_id], _lifetime_s(request)), is_new=True)


async def create_map(request: Request) -> Answer:
    """Make an entity map of what a query finds, without its entities.

    The parameters are those of GET /entities. A map holds 10,000 entities at the most, for ten minutes unless
    `entityMapLifetime` says otherwise, and for a day at the most.
    """
    return await _answer_with_map(request, selectors(request))


async def create_map_by_body(request: Request) -> Answer:
    """Make an entity map of what the Query in the body finds, without its entities."""
    return await _answer_with_map(request, read_query(request))


async def retrieve_map(request: Request) -> Answer:
    """Retrieve an entity map: the ids of what its query found, each with "@none" for this broker."""
    return with_context(request, (await _existing(request)).shown())


async def update_map(request: Request) -> Answer:
    """Set when an entity map expires; other members of the body are ignored."""
    body = request.read_body()
    if not isinstance(body, dict):
        raise InvalidRequest(f"The body must be one JSON object; it is {show(body)}")
    expires_at = require_expiry(body["expiresAt"], "expiresAt") if "expiresAt" in body else None
    for _ in range(_ATTEMPTS):
        known = await _existing(request)
        if expires_at is None or await request.tenant.entity_maps.expire(known, expires_at):
            break
    return NO_CONTENT


async def delete_map(request: Request) -> Answer:
    """Delete an entity map; the entities stay."""
    map_id = require_uri(request.path[0], "EntityMap id")
    if not await request.tenant.entity_maps.delete(map_id):
        raise _unknown(map_id)
    return NO_CONTENT


async def _answer_with_map(request: Request, chosen: tuple[EntitySelector, ...]) -> Answer:
    view = presentation(request)
    selected = entity_query(request, chosen, view.projection.attrs)
    if selected.q is not None and view.join_level:
        selected = replace(selected, q=await resolved(selected.q, request.tenant.entities, selected.now))
    made = await _made(request, selected)
    return with_context(request, made.shown(), Used(made, is_new=True).headers)._replace(status=201)


async def _made(request: Request, selected: EntityQuery) -> EntityMap:
    ids = await request.tenant.entities.find_ids(selected, limit=IDS_COUNT_MAX + 1)
    return await request.tenant.entity_maps.create(ids, _lifetime_s(request))


async def _named(request: Request) -> EntityMap | None:
    """The map that the request refers to, by its address or its id; None if there is none (any more)."""
    header = request.headers.get(b"ngsild-entitymap")
    if header is None:
        return None
    name = header.decode("latin-1").strip().rpartition("/")[2]
    return await request.tenant.entity_maps.get(name) if is_uri(name) else None


async def _existing(request: Request) -> EntityMap:
    map_id = require_uri(request.path[0], "EntityMap id")
    known = await request.tenant.entity_maps.get(map_id)
    if known is None:
        raise _unknown(map_id)
    return known


def _unknown(map_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"EntityMap {show(map_id)} does not exist, or has expired")


def _lifetime_s(request: Request) -> float | None:
    text = request.parameters.get("entityMapLifetime")
    if text is None:
        return None
    seconds = require_duration_s(text, "Parameter entityMapLifetime")
    if not seconds:
        raise BadRequestData(f"Parameter entityMapLifetime={show(text)} must be longer than nothing")
    return seconds


_QUERY = FILTERING | {"entityMapLifetime", "entityMap", "pick", "omit", "join", "joinLevel", "containedBy", "datasetId"}
_ONE = {
    "GET": Operation(
        "retrieveEntityMap", "5.14.1", retrieve_map, answers={200: "The map", 404: "No such map, or it has expired"}
    ),
    "PATCH": Operation(
        "updateEntityMap",
        "5.14.2",
        update_map,
        body="EntityMapFragment",
        answers={204: "Done", 404: "No such map, or it has expired"},
    ),
    "DELETE": Operation(
        "deleteEntityMap", "5.14.3", delete_map, answers={204: "Done", 404: "No such map, or it has expired"}
    ),
}

RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entityMaps",
        {
            "GET": Operation(
                "createEntityMap",
                "5.14.4",
                create_map,
                parameters=_QUERY,
                answers={201: "The map", 403: "It would hold too many entities"},
            ),
            "POST": Operation(
                "createEntityMapByBody",
                "5.14.4",
                create_map_by_body,
                parameters=frozenset({"local"}),
                body="Query",
                answers={201: "The map", 403: "It would hold too many entities"},
            ),
        },
    ),
    Resource("/ngsi-ld/v1/entityMaps/{entityMapId}", _ONE),
    # The name that the OpenAPI document of version 1.8.1 has for it.
    Resource(
        "/ngsi-ld/v1/entityMap/{entityMapId}",
        {method: replace(operation, name=f"{operation.name}Alias") for method, operation in _ONE.items()},
    ),
]
