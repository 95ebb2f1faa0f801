"""Batch operations on entities: /entityOperations (clauses 5.6.7 to 5.6.10, 5.6.20 and 6.14 to 6.17, 6.31)."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import orjson

from broker.api.answers import NO_CONTENT, batch_result
from broker.api.exchange import Answer, Request
from broker.api.link_header import context_link
from broker.api.media import LD_JSON, media_type
from broker.api.parameters import options
from broker.api.routing import Handler, Operation, Resource
from broker.commit_ticket import Outcome
from broker.errors import HttpRefusal, StorageUnavailable
from broker.turns import Turns
from ngsi import patch
from ngsi.context import CORE, Context
from ngsi.document import Fragment, read_entity
from ngsi.errors import BadRequestData, NgsiError
from ngsi.merge import MergeOptions, merge_entity, require_names
from ngsi.names import iri, is_uri, require_uri, show
from ngsi.newer import upsert_newer

_NEWER = b"keep-newer"
_NEWER_APPLIED = (b"preference-applied", _NEWER)
ITEMS_COUNT_MAX = 10_000
"""Entities in a batch at the most: ten times what the busiest clients send, and still no burden for the others."""


async def upsert_entities(request: Request) -> Answer:
    """Create or update a batch of entities, each on its own, in the order of the array.

    `options=update` writes the attributes given and keeps the others; without it, and with `options=replace`, an
    entity that exists is replaced. With `Prefer: keep-newer` (not of the standard) an update leaves attributes alone
    that were observed later. 201 with the ids created, 204 when all existed, 207 when some could not be written.
    """
    update = "update" in options(request, {"replace", "update"})
    newer = update and _keeps_newer(request)
    fragments, errors = await _read_entities(request)
    apply = upsert_newer if newer else patch.upsert if update else patch.replace_entity
    patches = [(fragment.id or "", partial(apply, fragment)) for fragment in fragments]
    outcomes = await _outcomes(request, patches)
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
        answer = batch_result(list(dict.fromkeys(success)), errors)
    else:
        answer = Answer(201, orjson.dumps(created)) if created else NO_CONTENT
    return answer._replace(headers=(*answer.headers, _NEWER_APPLIED)) if newer else answer


def _keeps_newer(request: Request) -> bool:
    prefer = request.headers.get(b"prefer")
    return prefer is not None and _NEWER in (preference.strip().lower() for preference in prefer.split(b","))


async def create_entities(request: Request) -> Answer:
    """Create a batch of entities, each on its own, in the order of the array.

    201 with the ids created, 207 when some could not be.
    """
    fragments, errors = await _read_entities(request)
    patches = [(fragment.id or "", partial(patch.create, fragment)) for fragment in fragments]
    success = await _apply(request, patches, errors, are_creations=True)
    return batch_result(success, errors) if errors else Answer(201, orjson.dumps(success))


async def update_entities(request: Request) -> Answer:
    """Update the attributes of a batch of entities, which must exist; `options=noOverwrite` only adds attributes."""
    overwrite = "noOverwrite" not in options(request, {"noOverwrite"})
    fragments, errors = await _read_entities(request)
    patches = [
        (entity_id, partial(patch.append_attributes, fragment, overwrite, entity_id=entity_id))
        for fragment in fragments
        if (entity_id := fragment.id or "")
    ]
    success = await _apply(request, patches, errors)
    return batch_result(success, errors) if errors else NO_CONTENT


async def merge_entities(request: Request) -> Answer:
    """Merge a batch of fragments into their entities, which must exist, each as Merge Entity does it."""
    errors: list[tuple[str, NgsiError]] = []
    patches: list[tuple[str, patch.Patch]] = []
    turns = Turns()
    for item, context, problem in _items(request):
        await turns.take()
        try:
            if problem is not None:
                raise problem
            entity_id = require_uri(item.get("id", item.get("@id")), "Entity id")
            require_names(item, context)
        except NgsiError as exc:
            errors.append((_named_id(item), exc))
        else:
            patches.append((entity_id, partial(merge_entity, item, context, MergeOptions(), entity_id=entity_id)))
    success = await _apply(request, patches, errors)
    return batch_result(success, errors) if errors else NO_CONTENT


async def delete_entities(request: Request) -> Answer:
    """Delete a batch of entities by their ids; the body is an array of ids."""
    body = request.json()
    if not isinstance(body, list) or not body or not all(isinstance(item, str) for item in body):
        raise BadRequestData("The body must be an array of entity ids: not empty, and strings only")
    _require_bounded(body)
    errors: list[tuple[str, NgsiError]] = [
        (item, BadRequestData(f"Entity id {show(item)} is not a URI")) for item in body if not is_uri(item)
    ]
    patches = [(item, partial(patch.delete_entity, entity_id=item)) for item in body if is_uri(item)]
    success = await _apply(request, patches, errors)
    return batch_result(success, errors) if errors else NO_CONTENT


async def _apply(
    request: Request,
    patches: Sequence[tuple[str, patch.Patch]],
    errors: list[tuple[str, NgsiError]],
    *,
    are_creations: bool = False,
) -> list[str]:
    """Commits the patches; gives the ids of those that succeeded, each once, and adds the others to the errors."""
    outcomes = await _outcomes(request, patches, are_creations=are_creations)
    success: list[str] = []
    for (entity_id, _), outcome in zip(patches, outcomes, strict=True):
        if isinstance(outcome, NgsiError):
            errors.append((entity_id, outcome))
        elif outcome.not_updated:
            left = ", ".join(iri(item.attribute) for item in outcome.not_updated)
            errors.append((entity_id, BadRequestData(f"Not written: {left}. {outcome.not_updated[0].reason}")))
        else:
            success.append(entity_id)
    return list(dict.fromkeys(success))


async def _outcomes(
    request: Request, patches: Sequence[tuple[str, patch.Patch]], *, are_creations: bool = False
) -> list[Outcome]:
    """What became of each patch. Raises StorageUnavailable if that is what all of them met: 503 says when to retry."""
    if not patches:
        return []
    committer = request.tenant.committer
    outcomes = await committer.submit_all(patches, request.request_id, are_creations=are_creations)
    if isinstance(outcomes[0], StorageUnavailable) and all(isinstance(each, StorageUnavailable) for each in outcomes):
        raise outcomes[0]
    return outcomes


async def _read_entities(request: Request) -> tuple[list[Fragment], list[tuple[str, NgsiError]]]:
    """The entities of the body that can be read, and the errors of the others with their ids."""
    fragments: list[Fragment] = []
    errors: list[tuple[str, NgsiError]] = []
    turns = Turns()
    for item, context, problem in _items(request):
        await turns.take()
        try:
            if problem is not None:
                raise problem
            fragments.append(read_entity(item, context))
        except NgsiError as exc:
            errors.append((_named_id(item), exc))
    return fragments, errors


def _items(request: Request) -> Iterator[tuple[Any, Context, NgsiError | None]]:
    """Each item of the body with its @context, or with what is wrong with either."""
    body = request.read_body()
    if not isinstance(body, list) or not body or None in body:
        raise BadRequestData("The body must be an array of entities: neither empty nor with null in it")
    _require_bounded(body)
    in_body = media_type(request.headers.get(b"content-type")) == LD_JSON
    if in_body and context_link(request.headers.get(b"link", b"")) is not None:
        raise BadRequestData(
            "With Content-Type application/ld+json each entity has its own @context; leave the Link header out"
        )
    shared = CORE if in_body else request.context
    for item in body:
        if not isinstance(item, dict):
            yield item, shared, BadRequestData(f"An entity is a JSON object; this one is {show(item)}")
            continue
        try:
            yield item, request.context_of(item) if in_body or "@context" in item else shared, None
        except NgsiError as exc:
            yield item, shared, exc


def _require_bounded(body: list[Any]) -> None:
    if len(body) > ITEMS_COUNT_MAX:
        raise HttpRefusal(
            413, "Content Too Large", f"The batch has {len(body)} items; send {ITEMS_COUNT_MAX} at a time at the most"
        )


def _named_id(item: Any) -> str:
    named = item.get("id", item.get("@id")) if isinstance(item, dict) else None
    return named if isinstance(named, str) else "urn:ngsi-ld:null"


_LOCAL = frozenset({"local"})

_ANSWERS = {204: "Done", 207: "Some could not be written: see errors"}


def _batch(action: str, clause: str, handler: Handler, **members: Any) -> Resource:
    members = {"parameters": _LOCAL, "answers": _ANSWERS, "body": "EntityList", **members}
    return Resource(
        f"/ngsi-ld/v1/entityOperations/{action}", {"POST": Operation(f"{action}Batch", clause, handler, **members)}
    )


_WITH_OPTIONS = _LOCAL | {"options"}
_CREATED = {201: "Ids of those created", 207: "Some could not be written: see errors"}

RESOURCES = [
    _batch("create", "5.6.7", create_entities, answers=_CREATED, creates_tenant=True),
    _batch(
        "upsert", "5.6.8", upsert_entities, parameters=_WITH_OPTIONS, answers=_ANSWERS | _CREATED, creates_tenant=True
    ),
    _batch("update", "5.6.9", update_entities, parameters=_WITH_OPTIONS),
    _batch("merge", "5.6.20", merge_entities),
    _batch("delete", "5.6.10", delete_entities, body="IdList"),
]
