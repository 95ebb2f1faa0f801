"""The store of @contexts: /jsonldContexts and /jsonldContexts/{contextId} (clauses 5.13, 6.29 and 6.30)."""

from functools import partial
from typing import Any, get_args

import orjson

from broker.api.answers import NO_CONTENT, created
from broker.api.exchange import Answer, Request
from broker.api.long_array import LongArray
from broker.api.long_page import fill_whole
from broker.api.routing import Operation, Resource
from broker.contexts import id_of, own_id
from broker.storage.context_store import ContextRecord, Kind
from ngsi.context import Context
from ngsi.context_source import references
from ngsi.core_context import CORE_URLS
from ngsi.errors import BadRequestData, InvalidRequest, OperationNotSupported, ResourceNotFound
from ngsi.names import show
from ngsi.vocabulary import CORE_CONTEXT_URL

_KINDS: tuple[Kind, ...] = get_args(Kind)
_CORE_SINCE = "2024-03-01T00:00:00.000Z"
"""What stands for the time when the core @context, which is built in, was stored."""


async def add_context(request: Request) -> Answer:
    """Add an @context, which this broker then serves (kind Hosted) to the tenant of the request.

    The body is an object with `@context`: a URL, an object of terms or an array of both; other members are dropped.
    """
    body = request.json()
    if not isinstance(body, dict) or "@context" not in body:
        raise InvalidRequest('The body must be a JSON object with the member "@context"')
    source = body["@context"]
    for _ in references(source):
        pass  # Each is looked at: what is no @context is refused.
    Context(source, _inline(source))
    supply = request.services.context_supply
    return created("jsonldContexts", await supply.add(source, request.tenant_name))


async def list_contexts(request: Request) -> Answer:
    """List the @contexts: their URLs, or with `details=true` what is known of each; `kind` selects one kind."""
    details = request.flag("details")
    kind = next((known for known in _KINDS if known == request.parameters.get("kind")), None)
    if kind is None and "kind" in request.parameters:
        raise BadRequestData(f"kind={show(request.parameters['kind'])} is none of {', '.join(_KINDS)}")
    await request.services.context_supply.write_hits()
    found = request.services.storage.contexts().find(request.tenant_name, kind)
    array = LongArray(request, is_plain=True)
    await fill_whole(array, found, partial(_described if details else _url, request))
    return Answer(200, array.content(), content_type=request.accept.encode(), rest=array.rest())


async def serve_context(request: Request) -> Answer:
    """Serve an @context by its id, or with `details=true` what is known of it.

    Cached ones, which can also be named by their URL, are described only: 422 without `details=true`.
    """
    details = request.flag("details")
    if request.path[0] in CORE_URLS:
        record = _core(request.path[0])
    else:
        record = await _record(request)
    if details:
        payload = _described(request, record)
    elif record.kind == "Cached":
        raise OperationNotSupported(
            f"@context {show(request.path[0])} is a copy of a document that is served elsewhere; ask there, or for "
            "details=true"
        )
    else:
        payload = {"@context": orjson.loads(record.text)}
    if record.kind != "Hosted":
        await request.services.storage.contexts().count({record.id: 1}, request.services.clock())
    return _answer(request, payload)


async def delete_context(request: Request) -> Answer:
    """Delete an @context; with `reload=true` fetch a Cached one anew instead (504, and the old one stays, if it fails).

    A Cached one is fetched again when it is needed. The core @context is built in: it can be reloaded, not deleted.
    """
    reload = request.flag("reload")
    named = request.path[0]
    if named in CORE_URLS:
        if not reload:
            raise BadRequestData("The core @context is built in and cannot be deleted")
        return NO_CONTENT
    try:
        record = await _record(request)
        if record.tenants is not None and request.tenant_name not in record.tenants:
            raise _unknown(request)
    except ResourceNotFound as exc:
        if reload:
            raise BadRequestData(f"{exc.detail}, and cannot be reloaded") from exc
        raise
    supply = request.services.context_supply
    if not reload:
        await supply.delete(record)
    elif record.url is None:
        raise BadRequestData(f"@context {show(named)} is {record.kind}: there is nowhere to reload it from")
    else:
        await supply.reload(record.url)
    return NO_CONTENT


async def _record(request: Request) -> ContextRecord:
    """The record that the path names by id or URL, with its hits up to now; ResourceNotFound if hidden or not there."""
    named = request.path[0]
    await request.services.context_supply.write_hits()
    store = request.services.storage.contexts()
    record = await store.get(own_id(named) or named) or await store.get(id_of(named.encode()))
    if record is None or (record.kind == "Hosted" and request.tenant_name not in (record.tenants or ())):
        raise _unknown(request)
    return record


def _unknown(request: Request) -> ResourceNotFound:
    return ResourceNotFound(f"@context {show(request.path[0])} does not exist")


def _core(url: str) -> ContextRecord:
    return ContextRecord(id_of(CORE_CONTEXT_URL.encode()), "Cached", url, None, "", _CORE_SINCE)


def _inline(source: object) -> list[dict[str, Any]]:
    if isinstance(source, list):
        return [table for part in source for table in _inline(part)]
    return [source] if isinstance(source, dict) else []


def _url(request: Request, record: ContextRecord) -> str:
    return request.address(record.id) if record.url is None else record.url


def _described(request: Request, record: ContextRecord) -> dict[str, Any]:
    described = {
        "URL": _url(request, record),
        "localId": record.id,
        "kind": record.kind,
        "createdAt": record.created_at,
        "expiresAt": record.expires_at,
        "lastUsage": record.last_usage,
    }
    shown: dict[str, Any] = {name: value for name, value in described.items() if value is not None}
    return shown | {"numberOfHits": record.hit_count}


def _answer(request: Request, payload: Any) -> Answer:
    return Answer(200, orjson.dumps(payload), content_type=request.accept.encode())


RESOURCES = [
    Resource(
        "/ngsi-ld/v1/jsonldContexts",
        {
            "GET": Operation(
                "listContexts",
                "5.13.3",
                list_contexts,
                parameters=frozenset({"details", "kind"}),
                answers={200: "URLs or descriptions, perhaps none"},
                any_tenant=True,
            ),
            "POST": Operation(
                "addContext",
                "5.13.2",
                add_context,
                body="LdContext",
                answers={201: "Added; Location has its address"},
                any_tenant=True,
            ),
        },
    ),
    Resource(
        "/ngsi-ld/v1/jsonldContexts/{contextId}",
        {
            "GET": Operation(
                "serveContext",
                "5.13.4",
                serve_context,
                parameters=frozenset({"details"}),
                answers={
                    200: "The @context or its description",
                    404: "No such @context",
                    422: "A Cached one without details=true",
                },
                any_tenant=True,
            ),
            "DELETE": Operation(
                "deleteContext",
                "5.13.5",
                delete_context,
                parameters=frozenset({"reload"}),
                answers={204: "Deleted or reloaded", 404: "No such @context", 504: "Cannot be fetched anew"},
                any_tenant=True,
            ),
        },
    ),
]
