"""How operations refuse, for the OpenAPI document: each status with what it means and an answer of its kind."""

from typing import Any

from broker.errors import HttpRefusal, Overloaded, StorageUnavailable
from ngsi import errors
from ngsi.errors import NgsiError

_TEXTS: dict[int, str] = {
    400: "InvalidRequest or BadRequestData: the request is not well-formed, or against the data model or a grammar",
    401: "No operator's key",
    403: "TooManyResults or TooComplexQuery: more is asked for than the broker gives to one request",
    404: "NonexistentTenant, or nothing there",
    406: "None of the media types that Accept allows is offered",
    408: "The body did not arrive in time",
    411: "Content-Length is missing (also with chunked transfer); no body",
    413: "The body is too large (see MEDINA_BODY_BYTES)",
    415: "The media type of the body is not understood; no body",
    501: "Known to the standard, not offered by this broker yet",
    503: "The broker is overloaded or MongoDB is away: try again after Retry-After seconds",
    504: "An @context cannot be fetched",
}
_BARE = frozenset({411, 415})
_WITH_BODY = frozenset({408, 411, 413, 415})
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})

_EXAMPLES: tuple[NgsiError, ...] = (
    errors.InvalidRequest("Parameter 'lmit' is not known to queryEntities; it takes: attrs, collation, …"),
    errors.BadRequestData("Attribute 'speed': a Property needs the member 'value'"),
    HttpRefusal(401, "Unauthorized", "This is for operators: send the header Authorization: Bearer with the key …"),
    errors.TooManyResults("limit=5000 is over 1000; ask for pages with limit and offset"),
    errors.TooComplexQuery("The query takes longer than 10 s; name a type, a smaller area or a q"),
    errors.ResourceNotFound("Entity urn:ngsi-ld:Room:1 does not exist"),
    errors.NonexistentTenant("Tenant 'settat' does not exist; it is created by the first entity or subscription"),
    HttpRefusal(406, "Not Acceptable", "Accept 'text/html' allows none of application/json, application/ld+json"),
    HttpRefusal(408, "Request Timeout", "The body did not arrive within 30 s; send it faster, or in parts"),
    errors.AlreadyExists("Entity urn:ngsi-ld:Room:1 exists already; update it, or delete it first"),
    HttpRefusal(413, "Content Too Large", "The body is over 10000000 bytes; send it in parts"),
    errors.OperationNotSupported("@context 'https://x.example/c.jsonld' is a copy of a document served elsewhere"),
    errors.NotSupported("This operation of NGSI-LD is not offered by this broker yet; /docs lists those that are"),
    Overloaded("5000 writes are waiting already, more than 5000; come back later"),
    StorageUnavailable("MongoDB does not answer: 'connection refused'"),
    errors.LdContextNotAvailable("@context 'https://x.example/c.jsonld' cannot be fetched: 'no answer within 2 s'"),
)


def refusal(status: int, text: str | None = None) -> dict[str, Any]:
    """The description of an error's answer; `text` says it better than the words for all operations."""
    described: dict[str, Any] = {"description": text or _TEXTS[status]}
    if status not in _BARE:
        examples = {type(error).__name__: {"value": error.problem()} for error in _EXAMPLES if error.status == status}
        schema = {"$ref": "#/components/schemas/ProblemDetails"}
        described["content"] = {"application/json": {"schema": schema, "examples": examples}}
    return described


def general_refusals(method: str) -> list[int]:
    """The statuses that any operation of this method may refuse with."""
    return [status for status in _TEXTS if status != 401 and (method in _BODY_METHODS or status not in _WITH_BODY)]
