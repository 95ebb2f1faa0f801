"""Which entity types and attributes there are: /types and /attributes (clauses 5.7.5 to 5.7.10, 6.25 to 6.28)."""

import asyncio
from time import monotonic
from uuid import uuid4

from broker.api.answers import with_context
from broker.api.exchange import Answer, Request
from broker.api.routing import Operation, Resource
from broker.storage.base import EntityQuery, EntitySelector, TypeProfile
from ngsi.errors import BadRequestData, ResourceNotFound, TooComplexQuery
from ngsi.names import iri, is_name, show
from ngsi.vocabulary import RESERVED_NAMES

_AT_ONCE = 8


async def list_types(request: Request) -> Answer:
    """List the entity types that there are entities of; with `details=true` with the names of their attributes."""
    now = request.services.clock()
    keys = await request.tenant.entities.types(now)
    compact = request.context.compact
    if not request.flag("details"):
        listed = {"id": _new_id("EntityTypeList"), "type": "EntityTypeList", "typeList": sorted(map(compact, keys))}
        return with_context(request, listed)
    profiles = await _profiles(request, keys, now)
    details = [
        {
            "id": iri(key),
            "type": "EntityType",
            "typeName": compact(key),
            "attributeNames": sorted(map(compact, profile.attributes)),
        }
        for key, profile in profiles.items()
    ]
    return with_context(request, details)


async def describe_type(request: Request) -> Answer:
    """Tell of one entity type how many entities it has, and their attributes.

    Of millions of entities that can take longer than a query may: 403 TooComplexQuery.
    """
    key = _key(request, "Entity type")
    profile = await request.tenant.entities.describe_type(key, request.services.clock())
    if profile is None:
        raise ResourceNotFound(f"There is no entity of type {show(request.path[0])}")
    compact = request.context.compact
    details = [
        {"id": iri(name), "type": "Attribute", "attributeName": compact(name), "attributeTypes": kinds}
        for name, kinds in sorted(profile.attributes.items())
    ]
    shown = {
        "id": iri(key),
        "type": "EntityTypeInfo",
        "typeName": compact(key),
        "entityCount": profile.count,
        "attributeDetails": details,
    }
    return with_context(request, shown)


async def list_attributes(request: Request) -> Answer:
    """List the attributes that entities have; with `details=true` with the types of these entities."""
    types = await _types_of_attributes(request)
    compact = request.context.compact
    if not request.flag("details"):
        listed = {"id": _new_id("AttributeList"), "type": "AttributeList", "attributeList": sorted(map(compact, types))}
        return with_context(request, listed)
    details = [
        {
            "id": iri(key),
            "type": "Attribute",
            "attributeName": compact(key),
            "typeNames": sorted(map(compact, found)),
        }
        for key, found in sorted(types.items())
    ]
    return with_context(request, details)


async def describe_attribute(request: Request) -> Answer:
    """Tell of one attribute how many entities have it, of which types they are and of which kinds it is."""
    key = _key(request, "Attribute")
    types = (await _types_of_attributes(request)).get(key)
    if types is None:
        raise ResourceNotFound(f"No entity has an attribute {show(request.path[0])}")
    chosen = (EntitySelector(types=tuple(frozenset({name}) for name in types)),)
    count = await request.tenant.entities.count(EntityQuery(request.services.clock(), chosen, frozenset({key})))
    compact = request.context.compact
    shown = {
        "id": iri(key),
        "type": "Attribute",
        "attributeName": compact(key),
        "attributeCount": count,
        "attributeTypes": sorted({kind for kinds in types.values() for kind in kinds}),
        "typeNames": sorted(map(compact, types)),
    }
    return with_context(request, shown)


async def _types_of_attributes(request: Request) -> dict[str, dict[str, list[str]]]:
    """Attribute → the types that have it, with the kinds that it is there."""
    now = request.services.clock()
    profiles = await _profiles(request, await request.tenant.entities.types(now), now)
    found: dict[str, dict[str, list[str]]] = {}
    for key, profile in profiles.items():
        for attribute, described in profile.attributes.items():
            found.setdefault(attribute, {})[key] = described
    return found


async def _profiles(request: Request, keys: list[str], now: str) -> dict[str, TypeProfile]:
    """What there is of each type, a few asked for at a time, within the time that a query may take."""
    entities = request.tenant.entities
    profiles: dict[str, TypeProfile] = {}
    until_s = monotonic() + request.services.settings.query_timeout_s
    for start in range(0, len(keys), _AT_ONCE):
        if monotonic() > until_s:
            raise TooComplexQuery(f"There are {len(keys)} types, too many to look at; ask for one with types/{{type}}")
        part = keys[start : start + _AT_ONCE]
        found = await asyncio.gather(*(entities.describe_type(key, now) for key in part))
        profiles |= {key: profile for key, profile in zip(part, found, strict=True) if profile is not None}
    return profiles


def _key(request: Request, what: str) -> str:
    """The key of the name in the path. Members of entities, which have reserved names, are no attributes: 404."""
    name = request.path[0]
    if not is_name(name):
        raise BadRequestData(f"{what} {show(name)} is not a legal name")
    if name in RESERVED_NAMES:
        raise ResourceNotFound(f"{what} {show(name)} does not exist: it is a member of NGSI-LD itself")
    return request.context.expand(name)


def _new_id(kind: str) -> str:
    return f"urn:ngsi-ld:{kind}:{uuid4()}"


_LIST = frozenset({"details", "local"})
_ONE = frozenset({"local"})

RESOURCES = [
    Resource(
        "/ngsi-ld/v1/types",
        {"GET": Operation("listTypes", "5.7.5", list_types, parameters=_LIST, answers={200: "The types"})},
    ),
    Resource(
        "/ngsi-ld/v1/types/{type}",
        {
            "GET": Operation(
                "describeType", "5.7.7", describe_type, parameters=_ONE, answers={200: "The type", 404: "No such type"}
            )
        },
    ),
    Resource(
        "/ngsi-ld/v1/attributes",
        {
            "GET": Operation(
                "listAttributes", "5.7.8", list_attributes, parameters=_LIST, answers={200: "The attributes"}
            )
        },
    ),
    Resource(
        "/ngsi-ld/v1/attributes/{attributeName}",
        {
            "GET": Operation(
                "describeAttribute",
                "5.7.10",
                describe_attribute,
                parameters=_ONE,
                answers={200: "The attribute", 404: "No such attribute"},
            )
        },
    ),
]
