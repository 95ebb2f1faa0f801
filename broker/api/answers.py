"""Answers in the form that the standard gives them (clauses 6.3.5, 6.3.6 and 6.3.10)."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import orjson

from broker.api.exchange import LD_JSON, Answer, Request
from ngsi.context import Context
from ngsi.errors import NgsiError
from ngsi.names import iri
from ngsi.patch import Patched
from ngsi.vocabulary import CONTEXT_REL, CORE_CONTEXT_URL

NO_CONTENT = Answer(204)

_BASE = "/ngsi-ld/v1"


def with_context(request: Request, payload: Any, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """200 with entities, subscriptions …: the @context goes into each object of ld+json, else into the Link header."""
    context = request.context
    if request.accept == LD_JSON:
        for item in payload if isinstance(payload, list) else [payload]:
            item["@context"] = context.source
        return Answer(200, orjson.dumps(payload), headers, b"application/ld+json")
    return Answer(200, orjson.dumps(payload), (*headers, (b"link", context_link(context))))


def context_link(context: Context) -> bytes:
    """The Link header value that names the @context of a JSON answer (clause 6.3.5)."""
    # An inline context has no address: its terms are the client's own, and the core is what both sides share.
    url = context.url or CORE_CONTEXT_URL
    return f'<{url}>; rel="{CONTEXT_REL}"; type="{LD_JSON}"'.encode()


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
    """The Link header with the previous and the next page, where there is one (clause 6.3.10)."""
    links = []
    if offset > 0 and limit > 0:
        links.append(_page_link(request, path, limit, max(0, offset - limit), "prev"))
    if more and limit > 0:
        links.append(_page_link(request, path, limit, offset + limit, "next"))
    return ((b"link", ", ".join(links).encode()),) if links else ()


def _page_link(request: Request, path: str, limit: int, offset: int, rel: str) -> str:
    parameters = {**request.url_parameters, "limit": str(limit), "offset": str(offset)}
    query = "&".join(f"{name}={quote(value, safe=':*,;()|=!@/')}" for name, value in sorted(parameters.items()))
    return f'<{_BASE}/{path}?{query}>;rel="{rel}";type="{request.accept}"'
