"""Headers of requests and answers, for the OpenAPI document (clauses 6.3.5, 6.3.10, 6.3.14 and 6.3.20)."""

from typing import Any

from broker.api.openapi_words import Schema
from broker.api.routing import Operation
from ngsi.vocabulary import CONTEXT_REL, CORE_CONTEXT_URL

_TEXT: Schema = {"type": "string"}
_SHOWING = frozenset({"retrieveEntity", "queryEntities", "queryBatch"})
_QUERYING = frozenset({"queryEntities", "queryBatch"})
_VERSION = (
    "`ngsi-ld=1.6`: answer as that version of the standard had it (203 if anything differs for it); "
    "with GeoJSON `body=json`: the @context goes into the header Link, not into the body"
)
_KEEP_NEWER = "`keep-newer` (not of the standard): an update leaves attributes alone that were observed later"
_MAP = "An entity map to take the page from, as an earlier answer named it"
_PAGED = ("Entities", "Subscriptions", "DeadLetters")
_PAGING: dict[str, Any] = {
    "Link": {
        "description": "The @context of a JSON answer; the pages before and after this one (rel prev, next)",
        "schema": _TEXT,
    },
    "NGSILD-Results-Count": {"description": "With count=true: the number of all results", "schema": _TEXT},
}
_MAPPED: dict[str, Any] = {
    "NGSILD-EntityMap": {"description": "With entityMap=true: the map, to be sent with further pages", "schema": _TEXT}
}
_LOCATED = {"Location": {"description": "Address of what was created", "schema": _TEXT}}
_LISTED = frozenset({"createBatch", "upsertBatch", *_QUERYING})
"""Operations whose 201 is a list."""


def header_parameters(operation: Operation) -> list[dict[str, Any]]:
    """The headers that an operation looks at; those of HTTP itself are not named."""
    tenant = "The tenant, if not the default" + ("; created if it is new" if operation.creates_tenant else "")
    link = f'<{CORE_CONTEXT_URL}>; rel="{CONTEXT_REL}"; type="application/ld+json"'
    found = [
        _parameter("Link", f"The @context. Example: `{link}`", link),
        _parameter("NGSILD-Tenant", tenant, "settat"),
    ]
    if operation.name in _SHOWING:
        found.append(_parameter("Prefer", _VERSION, "ngsi-ld=1.6"))
    if operation.name == "upsertBatch":
        found.append(_parameter("Prefer", _KEEP_NEWER, "keep-newer"))
    if operation.name in _QUERYING:
        found.append(_parameter("NGSILD-EntityMap", _MAP, None))
    return found


def answer_headers(operation: Operation, status: int, schema: str | None) -> dict[str, Any]:
    """The headers of an answer, as a member of its description; empty where there is none to speak of."""
    headers: dict[str, Any] = {}
    if status == 201 and operation.name not in _LISTED:
        headers |= _LOCATED
    if schema is not None and schema.endswith(_PAGED):
        headers |= _PAGING
    if operation.name in _QUERYING and status in (200, 201):
        headers |= _MAPPED
    return {"headers": headers} if headers else {}


def _parameter(name: str, description: str, example: str | None) -> dict[str, Any]:
    schema = _TEXT if example is None else {**_TEXT, "examples": [example]}
    return {"name": name, "in": "header", "schema": schema, "description": description}
