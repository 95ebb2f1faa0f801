"""Answers in the form that the standard gives them (clauses 6.3.5, 6.3.6 and 6.3.10)."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import orjson

from broker.api.exchange import Answer, Request
from broker.api.long_array import LongArray, geometry_term
from broker.api.media import GEO_JSON, LD_JSON
from broker.contexts import id_of, own_part
from ngsi import geojson
from ngsi.conformance import Version, preferred_version
from ngsi.context import Context
from ngsi.errors import NgsiError
from ngsi.names import iri
from ngsi.patch import Patched
from ngsi.vocabulary import CONTEXT_REL

NO_CONTENT = Answer(204)

Headers = tuple[tuple[bytes, bytes], ...]

_BASE = "/ngsi-ld/v1"


def with_context(
    request: Request, payload: dict[str, Any] | list[dict[str, Any]] | LongArray, headers: Headers = ()
) -> Answer:
    """200 with entities, subscriptions …: the @context goes into each object of ld+json, else into the Link header.

    With GeoJSON it goes into the body unless the header Prefer says otherwise.
    """
    in_body = request.accept == LD_JSON or (
        request.accept == GEO_JSON and geojson.context_in_body(request.headers.get(b"prefer", b"").decode("latin-1"))
    )
    if not in_body:
        headers = (*headers, (b"link", context_link(request, request.context)))
    media = request.accept.encode()
    if isinstance(payload, dict):
        return Answer(200, _object(request, payload, in_body), headers, media)
    array = payload if isinstance(payload, LongArray) else _array(request, payload)
    content = array.content(context_in_body=in_body)
    return Answer(200, content, headers, media, rest=array.rest(context_in_body=in_body))


def _object(request: Request, payload: dict[str, Any], in_body: bool) -> bytes:
    if request.accept == GEO_JSON:
        payload = geojson.feature(payload, geometry_term(request))
    if in_body:
        payload["@context"] = request.context.source
    return orjson.dumps(payload)


def _array(request: Request, payload: list[dict[str, Any]]) -> LongArray:
    """The objects encoded; each is let go at once."""
    array = LongArray(request)
    payload.reverse()
    while payload:
        array.add(payload.pop())
    return array


def context_link(request: Request, context: Context) -> bytes:
    """The Link header value that names the @context of a JSON answer (clause 6.3.5).

    An @context that has no address of its own gets one of this broker, which serves it (clause 5.13.1).
    """
    url = context.url
    if url is None:
        request.offered = context
        url = request.address(id_of(own_part(context.source)))
    return f'<{url}>; rel="{CONTEXT_REL}"; type="{LD_JSON}"'.encode()


def preferred(request: Request) -> Version | None:
    """The version of the standard that the client prefers (clause 6.3.20), None if it does not say."""
    prefer = request.headers.get(b"prefer")
    return None if prefer is None else preferred_version(prefer.decode("latin-1"))


def preference_applied(version: Version | None) -> tuple[tuple[bytes, bytes], ...]:
    """The header that says so, where a version was preferred, whether the payload differs for it or not."""
    return () if version is None else ((b"preference-applied", "ngsi-ld={}.{}".format(*version).encode()),)


def created(resource: str, resource_id: str) -> Answer:
    """201 with the relative address of what was created."""
    return Answer(201, headers=((b"location", f"{_BASE}/{resource}/{quote(resource_id, safe=':@/')}".encode()),))


def update_result(patched: Patched) -> Answer:
    """204 when everything was written, else 207 with the UpdateResult (clause 5.2.18), names fully expanded."""
    if not patched.not_updated:
        return NO_CONTENT
    return multi_status(
        {
            "updated": [iri(key) for key in patched.updated],
            "notUpdated": [
                {"attributeName": iri(item.attribute), "reason": item.reason} for item in patched.not_updated
            ],
        }
    )


def batch_result(success: list[str], errors: Iterable[tuple[str, NgsiError]]) -> Answer:
    """207 with the BatchOperationResult (clause 5.2.16)."""
    return multi_status(
        {
            "success": success,
            "errors": [{"entityId": entity_id, "error": error.problem()} for entity_id, error in errors],
        }
    )


def multi_status(payload: dict[str, Any]) -> Answer:
    """207 Multi-Status."""
    return Answer(207, orjson.dumps(payload))


def paging_headers(
    request: Request, path: str, limit: int, offset: int, *, more: bool
) -> tuple[tuple[bytes, bytes], ...]:
    """The Link header with the previous and the next page, where there is one (clause 6.3.10).

    `path` begins with a slash where it is no resource of the standard.
    """
    links = []
    if offset > 0 and limit > 0:
        links.append(_page_link(request, path, limit, max(0, offset - limit), "prev"))
    if more and limit > 0:
        links.append(_page_link(request, path, limit, offset + limit, "next"))
    return ((b"link", ", ".join(links).encode()),) if links else ()


def _page_link(request: Request, path: str, limit: int, offset: int, rel: str) -> str:
    parameters = {**request.url_parameters, "limit": str(limit), "offset": str(offset)}
    query = "&".join(f"{name}={quote(value, safe=':*,;()|=!@/')}" for name, value in sorted(parameters.items()))
    address = path if path.startswith("/") else f"{_BASE}/{path}"
    return f'<{address}?{query}>;rel="{rel}";type="{request.accept}"'
