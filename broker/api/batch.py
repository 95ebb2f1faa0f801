"""Batch operations on entities: /entityOperations (clauses 5.6.7 to 5.6.10, 5.6.20 and 6.14 to 6.17, 6.31)."""

from functools import partial
from typing import Any

import orjson

from broker.api.answers import NO_CONTENT, batch_result
from broker.api.exchange import LD_JSON, Answer, Request, context_link, media_type
from broker.api.parameters import options
from broker.api.routing import Operation, Resource, not_offered
from ngsi import patch
from ngsi.document import Fragment, read_entity
from ngsi.errors import BadRequestData, NgsiError
from ngsi.names import show


async def upsert_entities(request: Request) -> Answer:
    """Create or update a batch of entities, each on its own, in the order of the array.

    `options=update` writes the attributes given and keeps the others; without it, and with `options=replace`, an
    entity that exists is replaced. 201 with the ids created, 204 when all existed, 207 when some could not be written.
    """
    update = "update" in options(request, {"replace", "update"})
    fragments, errors = _read_entities(request)
    apply = patch.upsert if update else patch.replace_entity
    patches = [(fragment.id or "", partial(apply, fragment)) for fragment in fragments]
    outcomes = await request.tenant.committer.submit_all(patches, request.request_id) if patches else []
    success: list[str] = []
    created: list[str] = []
    for (entity_id, _), outcome in zip(patches, outcomes, strict=True):
        if isinstance(outcome, NgsiError):
            errors.append((entity_id, outcome))
        else:
            success.append(entity_id)
            if outcome.is_new:
                created.append(entity_id)
    if errors:
        return batch_result(list(dict.fromkeys(success)), errors)
    return Answer(201, orjson.dumps(created)) if created else NO_CONTENT


def _read_entities(request: Request) -> tuple[list[Fragment], list[tuple[str, NgsiError]]]:
    """The entities of the body that can be read, and the errors of the others with their ids."""
    body = request.read_body()
    if not isinstance(body, list) or not body or None in body:
        raise BadRequestData("The body must be an array of entities: neither empty nor with null in it")
    in_body = media_type(request.headers.get(b"content-type")) == LD_JSON
    if in_body and context_link(request.headers.get(b"link", b"")) is not None:
        raise BadRequestData(
            "With Content-Type application/ld+json each entity has its own @context; leave the Link header out"
        )
    fragments: list[Fragment] = []
    errors: list[tuple[str, NgsiError]] = []
    for item in body:
        try:
            fragments.append(_read_item(request, item, in_body=in_body))
        except NgsiError as exc:
            errors.append((_named_id(item), exc))
    return fragments, errors


def _read_item(request: Request, item: object, *, in_body: bool) -> Fragment:
    if not isinstance(item, dict):
        raise BadRequestData(f"An entity is a JSON object; this one is {show(item)}")
    context = request.context_of(item) if in_body or "@context" in item else request.context
    return read_entity(item, context)


def _named_id(item: Any) -> str:
    named = item.get("id", item.get("@id")) if isinstance(item, dict) else None
    return named if isinstance(named, str) else "urn:ngsi-ld:null"


_LOCAL = frozenset({"local"})

RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entityOperations/upsert",
        {
            "POST": Operation(
                "upsertBatch",
                "5.6.8",
                upsert_entities,
                parameters=_LOCAL | {"options"},
                body="EntityList",
                answers={201: "Ids of those created", 204: "All existed", 207: "Some could not be written: see errors"},
                creates_tenant=True,
            )
        },
    ),
    *(
        Resource(
            f"/ngsi-ld/v1/entityOperations/{action}",
            {"POST": Operation(f"{action}Batch", clause, not_offered, later=_LOCAL | {"options", "limit", "offset"})},
        )
        for action, clause in (
            ("create", "5.6.7"),
            ("update", "5.6.9"),
            ("delete", "5.6.10"),
            ("merge", "5.6.20"),
            ("query", "5.7.2"),
        )
    ),
]
