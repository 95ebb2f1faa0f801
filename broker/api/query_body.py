"""The Query data type (clause 5.2.23): the body of a query by POST, read as the parameters that GET has.

What a Query spells as members (`geoQ`, `ordering`, arrays of names …) becomes what the parameters of GET spell as
texts, so that everything behind this module knows one spelling. Only the entity selectors go beyond the parameters.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from broker.api.exchange import Request
from broker.storage.base import EntitySelector
from ngsi import pattern, query, selection
from ngsi.checks import require_array, require_boolean, require_object, require_text
from ngsi.errors import BadRequestData, InvalidRequest
from ngsi.names import require_uri, show

Parameters = dict[str, str]


def read_query(request: Request) -> tuple[EntitySelector, ...]:
    """The selectors of the body; adds its other members to `request.parameters`.

    Raises BadRequestData, and InvalidRequest for a body that is no object.
    """
    body = request.read_body()
    if not isinstance(body, dict):
        raise InvalidRequest(f"The body must be one JSON object, a Query; it is {show(body)}")
    if body.get("type", body.get("@type")) != "Query":
        raise BadRequestData(f'type {show(body.get("type"))} must be "Query"')
    parameters: Parameters = {}
    for member, content in body.items():
        if member in _NO_PARAMETERS:
            continue
        reader = _READERS.get(member)
        if reader is None:
            known = ", ".join(sorted(_READERS | _NO_PARAMETERS.keys()))
            raise BadRequestData(f"A Query has no member {show(member)}; it has {known}")
        parameters |= reader(member, content)
    request.parameters = {**request.url_parameters, **parameters}
    if "entities" not in body:
        return ()
    return tuple(_selector(item, request) for item in require_array(body["entities"], "entities"))


def _selector(value: object, request: Request) -> EntitySelector:
    body = require_object(value, "entities: item")
    if "type" not in body:
        raise BadRequestData(f'entities: {show(body)} has no "type"; give a name, or "*" for any')
    ids = body.get("id")
    if ids is not None:
        ids = require_array(ids, "entities: id") if isinstance(ids, list) else [ids]
        for entity_id in ids:
            require_uri(entity_id, "entities: id")
    id_pattern = None
    if "idPattern" in body:
        id_pattern = require_text(body["idPattern"], "entities: idPattern")
        pattern.parse(id_pattern)
    return EntitySelector(
        selection.alternatives(selection.expand(body["type"], request.context)),
        None if ids is None else tuple(ids),
        id_pattern,
    )


# Readers of the other members: (member, content) → parameters.


def _text(member: str, content: Any) -> Parameters:
    return {member: require_text(content, member)}


def _query(member: str, content: Any) -> Parameters:
    return {member: query.decoded(require_text(content, member))}


def _texts(member: str, content: Any) -> Parameters:
    return {member: ",".join(require_text(item, f"{member}: item") for item in require_array(content, member))}


def _number(member: str, content: Any) -> Parameters:
    if type(content) is not int:
        raise BadRequestData(f"{member} {show(content)} must be a whole number")
    return {member: str(content)}


def _boolean(member: str, content: Any) -> Parameters:
    return {member: "true" if require_boolean(content, member) else "false"}


def _geo_query(member: str, content: Any) -> Parameters:
    """A GeoQuery (clause 5.2.13); the coordinates are an array or its text."""
    return _members(member, content, {"georel": _text, "geometry": _text, "coordinates": _json, "geoproperty": _text})


def _ordering(member: str, content: Any) -> Parameters:
    """An OrderingParams (clause 5.2.43): `coordinates` and `geometry` go by orderFrom and orderGeometry in a URL."""
    found = _members(member, content, {"orderBy": _texts, "collation": _text, "coordinates": _array, "geometry": _text})
    return {_ORDERING_PARAMETERS.get(name, name): value for name, value in found.items()}


def _json(member: str, content: Any) -> Parameters:
    return {member: content} if isinstance(content, str) else _array(member, content)


def _array(member: str, content: Any) -> Parameters:
    return {member: orjson.dumps(require_array(content, member)).decode()}


Reader = Callable[[str, Any], Parameters]


def _members(member: str, content: Any, readers: Mapping[str, Reader]) -> Parameters:
    body = require_object(content, member)
    parameters: Parameters = {}
    for name, value in body.items():
        if name not in readers:
            raise BadRequestData(f"{member} has no member {show(name)}; it has {', '.join(readers)}")
        parameters |= readers[name](name, value)
    return parameters


def _temporal(member: str, content: Any) -> Parameters:
    raise BadRequestData(f"{member} belongs to temporal queries: /temporal/entityOperations/query")


_ORDERING_PARAMETERS = {"coordinates": "orderFrom", "geometry": "orderGeometry"}
_NO_PARAMETERS = {"type": None, "@type": None, "@context": None, "id": None, "@id": None, "entities": None}

_READERS: dict[str, Reader] = {
    "attrs": _texts,
    "pick": _texts,
    "omit": _texts,
    "q": _query,
    "geoQ": _geo_query,
    "scopeQ": _text,
    "csf": _query,
    "lang": _text,
    "datasetId": _texts,
    "containedBy": _texts,
    "join": _text,
    "joinLevel": _number,
    "expandValues": _text,
    "jsonKeys": _text,
    "geometryProperty": _text,
    "ordering": _ordering,
    "entityMap": _boolean,
    "entityMapLifetime": _text,
    "splitEntities": _boolean,
    "temporalQ": _temporal,
    "aggrParams": _temporal,
}
