"""Entities and fragments of entities as clients send them, checked and read (clauses 5.2.4, 5.6.1 and 5.5.4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ngsi.attribute import read_attributes
from ngsi.context import Context
from ngsi.datetimes import require_expiry
from ngsi.entity import Attributes
from ngsi.errors import BadRequestData, InvalidRequest
from ngsi.names import require_uri, show
from ngsi.vocabulary import NULL

_SCOPE = re.compile(r"/?[^\W\d_]\w*(?:/[^\W\d_]\w*)*")


@dataclass(slots=True)
class Fragment:
    """What a client says of an entity: names as keys, instances without timestamps.

    What the client is silent about is None; no scopes, and an `expires_at` that is NULL, ask for their removal.
    """

    id: str | None
    types: list[str] | None
    attributes: Attributes = field(default_factory=dict)
    scopes: list[str] | None = None
    expires_at: str | None = None


def read_entity(body: object, context: Context) -> Fragment:
    """A whole entity: id and type are mandatory, NGSI-LD Null is refused (clause 5.6.1)."""
    fragment = read_fragment(body, context, nulls=False)
    if fragment.id is None:
        raise BadRequestData('The entity has no "id"; give it a URI such as urn:ngsi-ld:Room:1')
    if fragment.types is None:
        raise BadRequestData(f'Entity {show(fragment.id)} has no "type"')
    return fragment


def read_fragment(body: object, context: Context, *, nulls: bool) -> Fragment:
    """A fragment of an entity: every member is optional; with `nulls`, NGSI-LD Null deletes (clause 4.5.0)."""
    if not isinstance(body, dict):
        raise InvalidRequest(f"An entity is a JSON object; this body is {show(body)}")
    entity_id = body.get("id", body.get("@id"))
    types = body.get("type", body.get("@type"))
    return Fragment(
        id=None if entity_id is None else _entity_id(entity_id),
        types=None if types is None else read_types(types, context),
        attributes=read_attributes(body, context, nulls=nulls),
        scopes=read_scopes(body, nulls=nulls),
        expires_at=_expires_at(body["expiresAt"], nulls=nulls) if "expiresAt" in body else None,
    )


def _expires_at(content: object, *, nulls: bool) -> str:
    return NULL if nulls and content == NULL else require_expiry(content, "expiresAt of the entity")


def read_types(types: object, context: Context) -> list[str]:
    """The keys of one or several type names, each once."""
    names: list[Any] = types if isinstance(types, list) else [types]
    if not names or not all(isinstance(name, str) and name != NULL for name in names):
        raise BadRequestData(f"Entity type {show(types)} must be a name or an array of names")
    return list(dict.fromkeys(context.expand(name) for name in names))


def _entity_id(entity_id: object) -> str:
    if entity_id == NULL:
        raise BadRequestData(f"{NULL} cannot be the id of an entity")
    return require_uri(entity_id, "Entity id")


def read_scopes(body: Mapping[str, Any], *, nulls: bool) -> list[str] | None:
    """The scopes of an entity (fragment), None when it is silent about them, none when a null removes them."""
    scope = body.get("scope")
    if scope is None:
        if "scope" in body:
            raise BadRequestData("scope is null; leave it out or give a path such as /Madrid/Gardens")
        return None
    if nulls and scope == NULL:
        return []
    scopes = scope if isinstance(scope, list) else [scope]
    for item in scopes:
        if not isinstance(item, str) or _SCOPE.fullmatch(item) is None:
            raise BadRequestData(f"scope {show(item)} is not a path of names such as /Madrid/Gardens")
    return list(dict.fromkeys(scopes))
