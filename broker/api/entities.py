"""Entities: created, replaced, merged, deleted, purged (clauses 5.6.1, 5.6.6, 5.6.17, 5.6.18, 5.6.21, 6.4 and 6.5)."""

import re
from functools import partial
from typing import Any

from broker.api.answers import NO_CONTENT, created
from broker.api.exchange import Answer, Request
from broker.api.parameters import entity_id, representation
from broker.api.routing import Operation, Resource
from broker.api.writing import GATED, LOCAL, read_object, write
from ngsi import merge, patch
from ngsi.datetimes import require_datetime
from ngsi.document import read_entity, read_fragment
from ngsi.errors import BadRequestData
from ngsi.merge import MergeOptions
from ngsi.names import show


async def create_entity(request: Request) -> Answer:
    """Create an entity.

    The body is a whole entity, normalized or concise. 409 if its id is taken.
    """
    fragment = read_entity(read_object(request), request.context)
    assert fragment.id is not None
    change = partial(patch.create, fragment)
    await request.tenant.committer.submit(fragment.id, change, request.request_id, is_creation=True)
    return created("entities", fragment.id)


async def delete_entity(request: Request) -> Answer:
    """Delete an entity with all its attributes."""
    known = entity_id(request)
    await write(request, known, partial(patch.delete_entity, entity_id=known))
    return NO_CONTENT


async def replace_entity(request: Request) -> Answer:
    """Replace an entity: its attributes, scopes and (where given) types are those of the body, and no others."""
    known = entity_id(request)
    fragment = read_fragment(_own_body(request, known), request.context, nulls=False)
    await write(request, known, partial(patch.replace_existing, fragment, entity_id=known))
    return NO_CONTENT


async def merge_entity(request: Request) -> Answer:
    """Merge a fragment into an entity, at any depth; urn:ngsi-ld:null deletes what it stands for.

    `format=simplified` takes bare values and keeps the kinds of the attributes; `lang` names the language that a string
    given for a LanguageProperty is in; `observedAt` is the new time of the attributes named that had one.
    """
    known = entity_id(request)
    body = _own_body(request, known)
    merge.require_names(body, request.context)
    form, _ = representation(request)
    observed_at = request.parameters.get("observedAt")
    merging = MergeOptions(
        simplified=form == "simplified",
        lang=_language(request),
        observed_at=None if observed_at is None else require_datetime(observed_at, "Parameter observedAt"),
    )
    await write(request, known, partial(merge.merge_entity, body, request.context, merging, entity_id=known))
    return NO_CONTENT


def _language(request: Request) -> str | None:
    """The language that texts of a merge are in, one tag (BCP 47); a range or a list of them names no one language."""
    lang = request.parameters.get("lang")
    if lang is not None and _LANGUAGE_TAG.fullmatch(lang) is None:
        raise BadRequestData(f"Parameter lang {show(lang)} must be the tag of one language, such as fr or sr-Latn")
    return lang


_LANGUAGE_TAG = re.compile(r"@none|[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")


def _own_body(request: Request, entity_id: str) -> dict[str, Any]:
    """The body, which may repeat the id of the path but not name another entity."""
    body = read_object(request)
    named = body.get("id", body.get("@id", entity_id))
    if named != entity_id:
        raise BadRequestData(f"The id of the body, {show(named)}, is not that of the path, {entity_id}")
    return body


RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entities/{entityId}",
        {
            "DELETE": Operation(
                "deleteEntity",
                "5.6.6",
                delete_entity,
                parameters=GATED,
                answers={204: "Deleted", 404: "No such entity"},
            ),
            "PUT": Operation(
                "replaceEntity",
                "5.6.18",
                replace_entity,
                parameters=GATED,
                body="Entity",
                answers={204: "Replaced", 404: "No such entity"},
            ),
            "PATCH": Operation(
                "mergeEntity",
                "5.6.17",
                merge_entity,
                parameters=GATED | {"format", "options", "lang", "observedAt"},
                body="EntityFragment",
                answers={204: "Merged", 404: "No such entity"},
            ),
        },
    ),
    Resource(
        "/ngsi-ld/v1/entities",
        {
            "POST": Operation(
                "createEntity",
                "5.6.1",
                create_entity,
                parameters=LOCAL,
                body="Entity",
                answers={201: "Created; Location has its address", 409: "The id is taken"},
                creates_tenant=True,
            ),
        },
    ),
]
