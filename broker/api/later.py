"""The places of NGSI-LD that this broker does not fill yet: each answers 501 OperationNotSupported.

Before that a request is held to the rules that all requests are held to, so that a wrong one is told what is wrong
(clauses 5.5.2 to 5.5.6): the parameters it may have, ids, names of attributes, the body and its @context.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.api.exchange import Answer, Request
from broker.api.routing import Handler, Operation, Resource
from broker.api.selecting import FILTERING, entity_query, selectors
from broker.errors import HttpRefusal
from ngsi import subscription
from ngsi.document import read_types
from ngsi.errors import BadRequestData, InvalidRequest, NotSupported
from ngsi.names import is_name, require_uri, show
from ngsi.registration import require_registration
from ngsi.temporal_query import require_temporal_query
from ngsi.vocabulary import NULL

_LOCAL = frozenset({"local"})
_PAGED = frozenset({"limit", "offset", "count", "options"})
_TEMPORAL = frozenset({"timerel", "timeAt", "endTimeAt", "timeproperty"})
_TEMPORAL_SHOWN = frozenset(
    {"lastN", "attrs", "pick", "omit", "datasetId", "lang", "format", "options", "aggrMethods", "aggrPeriodDuration"}
)
_TEMPORAL_QUERY = (
    FILTERING | _TEMPORAL | _TEMPORAL_SHOWN | _PAGED | {"splitEntities", "orderBy", "collation", "entityMap"}
)
_FOUND = FILTERING | _TEMPORAL | _PAGED | {"lang", "pick", "omit"}


@dataclass(frozen=True, slots=True)
class Place:
    """A method of a resource that is not offered. `check` looks at what is particular to it."""

    method: str
    clause: str
    parameters: frozenset[str] = frozenset()
    check: Callable[[Request], object] | None = None
    has_body: bool = False


def _temporal_query(request: Request) -> None:
    """A query over time needs its time (clause 5.7.4), and is not about everything."""
    _time(request.parameters)
    names = request.names("attrs")
    attrs = None if names is None else frozenset(map(request.context.expand, names))
    entity_query(request, selectors(request), attrs)


def _temporal_retrieval(request: Request) -> None:
    if _TEMPORAL & request.parameters.keys():
        _time(request.parameters)


def _time(members: dict[str, Any]) -> None:
    require_temporal_query({name: members[name] for name in _TEMPORAL & members.keys()}, "The temporal query")


def _temporal_query_body(request: Request) -> None:
    body = _object(request)
    if body.get("type") != "Query":
        raise BadRequestData(f'type {show(body.get("type"))} must be "Query"')
    if not isinstance(body.get("temporalQ"), dict):
        raise BadRequestData("The query has no temporalQ, which says what time it is about")
    _time(body["temporalQ"])


def _temporal_entity(request: Request) -> None:
    body = _object(request)
    require_uri(body.get("id", body.get("@id")), "Entity id")
    if "type" not in body and "@type" not in body:
        raise BadRequestData(f'Entity {show(body.get("id"))} has no "type"')
    read_types(body.get("type", body.get("@type")), request.context)
    _instances(request)


def _instances(request: Request) -> None:
    for name, content in _object(request).items():
        if content is None or content == NULL:
            raise BadRequestData(f"Attribute {show(name)}: null is the value of an instance, never of an attribute")


def _registration(request: Request) -> None:
    require_registration(_object(request), request.context, request.services.clock())


def _discovery(request: Request) -> None:
    if not request.parameters.keys() & {"type", "attrs", "q", "georel", "id"}:
        raise BadRequestData("The query is too wide: give type, attrs, q, georel or id")
    selectors(request)


def _subscription(request: Request) -> None:
    subscription.parse(_object(request), request.context, request.services.clock())


def _snapshot(request: Request) -> None:
    body = _object(request)
    if body.get("type") != "Snapshot":
        raise BadRequestData(f'type {show(body.get("type"))} must be "Snapshot"')


def _purge(request: Request) -> None:
    if "q" not in request.parameters:
        raise BadRequestData("Give q: without it all snapshots would be deleted")


def _object(request: Request) -> dict[str, Any]:
    """The body, which is read already."""
    if not isinstance(request.body, dict):
        raise InvalidRequest(f"The body must be one JSON object; it is {show(request.body)}")
    return request.body


_SUBSCRIPTIONS = _PAGED | _LOCAL
_SYS_ATTRS = frozenset({"options"})

_PLACES: dict[str, list[Place]] = {
    "csourceRegistrations": [
        Place("GET", "5.10.2", _FOUND, _discovery),
        Place("POST", "5.9.2", _LOCAL, _registration, has_body=True),
    ],
    "csourceRegistrations/{registrationId}": [
        Place("GET", "5.10.1", _SYS_ATTRS),
        Place("PATCH", "5.9.3", check=_object, has_body=True),
        Place("DELETE", "5.9.4"),
    ],
    "csourceSubscriptions": [
        Place("GET", "5.11.5", _SUBSCRIPTIONS),
        Place("POST", "5.11.2", _LOCAL, _subscription, has_body=True),
    ],
    "csourceSubscriptions/{subscriptionId}": [
        Place("GET", "5.11.4", _SYS_ATTRS),
        Place("PATCH", "5.11.3", check=_object, has_body=True),
        Place("DELETE", "5.11.6"),
    ],
    "temporal/entities": [
        Place("GET", "5.7.4", _TEMPORAL_QUERY, _temporal_query),
        Place("POST", "5.6.11", _LOCAL, _temporal_entity, has_body=True),
    ],
    "temporal/entities/{entityId}": [
        Place("GET", "5.7.3", _TEMPORAL | _TEMPORAL_SHOWN | _LOCAL, _temporal_retrieval),
        Place("DELETE", "5.6.16", _LOCAL),
    ],
    "temporal/entities/{entityId}/attrs": [Place("POST", "5.6.12", _LOCAL, _instances, has_body=True)],
    "temporal/entities/{entityId}/attrs/{attributeName}": [
        Place("DELETE", "5.6.13", _LOCAL | {"datasetId", "deleteAll"}),
    ],
    "temporal/entities/{entityId}/attrs/{attributeName}/{instanceId}": [
        Place("PATCH", "5.6.14", _LOCAL, _instances, has_body=True),
        Place("DELETE", "5.6.15", _LOCAL),
    ],
    "temporal/entityOperations/query": [
        Place("POST", "5.7.4", _PAGED | _LOCAL | {"format"}, _temporal_query_body, has_body=True)
    ],
    "temporal/entityMaps": [
        Place("GET", "5.14.5", _TEMPORAL_QUERY | {"entityMapLifetime"}, _temporal_query),
        Place("POST", "5.14.5", _PAGED | _LOCAL, _temporal_query_body, has_body=True),
    ],
    "snapshots": [
        Place("POST", "5.16.1", check=_snapshot, has_body=True),
        Place("DELETE", "5.16.6", frozenset({"q"}), _purge),
    ],
    "snapshots/{snapshotId}": [
        Place("GET", "5.16.3"),
        Place("PATCH", "5.16.4", check=_object, has_body=True),
        Place("DELETE", "5.16.5"),
    ],
    "snapshots/{snapshotId}/clone": [Place("POST", "5.16.2", check=_snapshot, has_body=True)],
}


_TITLES = {
    "5.10.2": "Find registrations of context sources",
    "5.9.2": "Register a context source",
    "5.10.1": "Retrieve a registration",
    "5.9.3": "Change a registration",
    "5.9.4": "Remove a registration",
    "5.11.5": "List subscriptions to registrations",
    "5.11.2": "Subscribe to registrations",
    "5.11.4": "Retrieve a subscription to registrations",
    "5.11.3": "Change a subscription to registrations",
    "5.11.6": "End a subscription to registrations",
    "5.7.4": "Find entities by their history",
    "5.6.11": "Write the history of an entity",
    "5.7.3": "Retrieve the history of an entity",
    "5.6.16": "Delete the history of an entity",
    "5.6.12": "Add to the history of an entity",
    "5.6.13": "Delete the history of an attribute",
    "5.6.14": "Change one instance in the history of an attribute",
    "5.6.15": "Delete one instance from the history of an attribute",
    "5.14.5": "Make an entity map of entities found by their history",
    "5.16.1": "Make a snapshot",
    "5.16.6": "Delete all snapshots that are selected",
    "5.16.3": "Tell of a snapshot",
    "5.16.4": "Change a snapshot",
    "5.16.5": "Delete a snapshot",
    "5.16.2": "Copy a snapshot",
}
"""What is done at a place, by clause."""


def _handler(place: Place, path: str) -> Handler:
    """What answers a request to a place, once its method, its media types and the names of its parameters are right."""
    steps = [step.strip("{}") for step in path.split("/") if step[0] == "{"]

    async def not_offered(request: Request) -> Answer:
        for step, value in zip(steps, request.path, strict=True):
            _require_step(place.method, step, value)
        if place.has_body:
            request.read_body()
        if place.check is not None:
            place.check(request)
        raise NotSupported("This operation of NGSI-LD is not offered by this broker yet; /docs lists those that are")

    not_offered.__doc__ = f"{_TITLES[place.clause]}: not offered yet, what is right is answered 501."
    return not_offered


def _require_step(method: str, step: str, value: str) -> None:
    """The part of a path must be what its template says. No attribute at all: then PATCH is no method (clause 6.23)."""
    if step != "attributeName":
        require_uri(value, step)
    elif not value and method == "PATCH":
        raise HttpRefusal(405, "Method Not Allowed", "The path names no attribute", ((b"allow", b"DELETE, OPTIONS"),))
    elif not is_name(value):
        raise BadRequestData(f"Attribute {show(value)} is not a legal name")


def _name(path: str, method: str) -> str:
    steps = [step.strip("{}") for step in path.split("/")]
    return method.lower() + "".join(step[0].upper() + step[1:] for step in steps)


RESOURCES = [
    Resource(
        f"/ngsi-ld/v1/{path}",
        {
            place.method: Operation(
                _name(path, place.method),
                place.clause,
                _handler(place, path),
                parameters=place.parameters,
                is_offered=False,
            )
            for place in places
        },
    )
    for path, places in _PLACES.items()
]
