"""The OpenAPI document of the NGSI-LD operations, made from the table that also routes them."""

import inspect
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from broker.api.openapi_parameters import parameter
from broker.api.openapi_schemas import SCHEMAS
from broker.api.routing import Operation, Resource
from ngsi.vocabulary import CONTEXT_REL, CORE_CONTEXT_URL

_SHOWN = ("application/json", "application/ld+json")

_ANSWERS: dict[tuple[str, int], str] = {
    ("retrieveEntity", 200): "ShownEntity",
    ("queryEntities", 200): "ShownEntities",
    ("queryBatch", 200): "ShownEntities",
    ("queryEntities", 201): "ShownEntities",
    ("queryBatch", 201): "ShownEntities",
    ("createEntityMap", 201): "EntityMap",
    ("createEntityMapByBody", 201): "EntityMap",
    ("retrieveEntityMap", 200): "EntityMap",
    ("retrieveEntityMapAlias", 200): "EntityMap",
    ("querySubscriptions", 200): "ShownSubscriptions",
    ("retrieveSubscription", 200): "ShownSubscription",
    ("explainSubscription", 200): "Explanation",
    ("retrieveSourceIdentity", 200): "ContextSourceIdentity",
    ("listTenants", 200): "Tenants",
    ("showDeliveries", 200): "Deliveries",
    ("listDeadLetters", 200): "DeadLetters",
    ("showDeadLetter", 200): "DeadLetter",
    ("replayDeadLetters", 200): "Replayed",
    ("listTypes", 200): "EntityTypes",
    ("describeType", 200): "EntityTypeInfo",
    ("listAttributes", 200): "Attributes",
    ("describeAttribute", 200): "AttributeInfo",
    ("listContexts", 200): "LdContexts",
    ("serveContext", 200): "ServedLdContext",
    ("createBatch", 201): "IdList",
    ("upsertBatch", 201): "IdList",
    ("updateAttributes", 207): "UpdateResult",
    ("appendAttributes", 207): "UpdateResult",
}
"""Schema of the body by operation and status. Every other 207 is a BatchOperationResult; what is not named has none."""

_REFUSALS: dict[int, str] = {
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
_PLAIN = frozenset({"BatchOperationResult", "UpdateResult", "IdList"})
"""Schemas of answers that are JSON and never JSON-LD."""
_WITH_BODY = frozenset({408, 411, 413, 415})


def openapi(app: FastAPI, resources: list[Resource]) -> dict[str, Any]:
    """The OpenAPI 3.1 document: FastAPI's own routes and every NGSI-LD operation with its clause."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version="0.1.0", description=app.description, routes=app.routes)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(SCHEMAS)
        components["securitySchemes"] = {"operator": {"type": "http", "scheme": "bearer"}}
        for resource in resources:
            document["paths"][resource.path] = {
                method.lower(): _operation(resource, method, operation)
                for method, operation in resource.operations.items()
            }
        app.openapi_schema = document
    return app.openapi_schema


def _operation(resource: Resource, method: str, operation: Operation) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(operation.handler.__doc__ or "").partition("\n")
    is_offered = operation.is_offered
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [resource.segments[3 if resource.segments[1] == "ex" else 2].strip("{}") if is_offered else "later"],
        "summary": summary if is_offered else f"{operation.name}: answers 501",
        "description": f"{description.strip()}\n\nETSI GS CIM 009 clause {operation.clause}.".strip(),
        "parameters": [*_path_parameters(resource), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": _responses(method, operation, is_offered=is_offered),
    }
    if operation.body is not None:
        described["requestBody"] = _body(method, operation.body)
    elif method in ("POST", "PUT", "PATCH") and not operation.takes_no_body:
        described["requestBody"] = {"content": {"application/json": {}}}
    if 401 in operation.answers:
        described["security"] = [{"operator": []}]
    return described


def _body(method: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    examples = SCHEMAS[name].get("examples")
    if examples:
        content["example"] = examples[0]
    if name == "IdList":
        return {"required": True, "content": {"application/json": content}}
    types = dict.fromkeys([*_SHOWN, *(["application/merge-patch+json"] if method == "PATCH" else [])], content)
    if examples:
        types["application/ld+json"] = {**content, "example": _with_context(examples[0])}
    return {"required": True, "content": types}


def _with_context(example: Any) -> Any:
    """The example as JSON-LD: each object of it has an @context."""
    if isinstance(example, list):
        return [_with_context(item) for item in example]
    return {"@context": CORE_CONTEXT_URL, **example}


def _path_parameters(resource: Resource) -> list[dict[str, Any]]:
    return [
        {
            "name": segment[1:-1],
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "example": _PATH_EXAMPLES.get(segment[1:-1], "urn:ngsi-ld:Thing:1"),
        }
        for segment in resource.segments
        if segment[0] == "{"
    ]


_PATH_EXAMPLES = {
    "attributeName": "temperature",
    "entityId": "urn:ngsi-ld:Room:1",
    "notificationId": "urn:ngsi-ld:Notification:6f1f3b52-0000-8000-a000-000000000000",
    "subscriptionId": "urn:ngsi-ld:Subscription:1",
    "tenant": "settat",
    "type": "Room",
}


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [parameter(operation.name, name) for name in sorted(operation.parameters) if operation.is_offered]


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    tenant = "The tenant, if not the default" + ("; created if it is new" if operation.creates_tenant else "")
    return [
        {
            "name": "Link",
            "in": "header",
            "schema": {"type": "string"},
            "description": f'The @context: <URL>; rel="{CONTEXT_REL}"; type="application/ld+json"',
        },
        {"name": "NGSILD-Tenant", "in": "header", "schema": {"type": "string"}, "description": tenant},
    ]


def _responses(method: str, operation: Operation, *, is_offered: bool) -> dict[str, Any]:
    """Every status that the operation can answer with, its own ones first."""
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    found: dict[str, Any] = {}
    for status, text in operation.answers.items():
        found[str(status)] = {"description": text}
        if status >= 400:
            found[str(status)]["content"] = problem
        elif operation.offers_events and status == 200:
            found[str(status)]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
        elif status == 207 or (operation.name, status) in _ANSWERS:
            found[str(status)] |= _answered(operation.name, status)
    for status, text in _REFUSALS.items():
        if str(status) in found or status == 401 or (status in _WITH_BODY and method in ("GET", "DELETE")):
            continue
        found[str(status)] = {"description": text, **({} if status in _BARE else {"content": problem})}
    return found if is_offered else dict(sorted(found.items(), key=lambda item: item[0] != "501"))


def _answered(operation: str, status: int) -> dict[str, Any]:
    name = _ANSWERS.get((operation, status), "BatchOperationResult")
    schema = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    types: dict[str, Any] = dict.fromkeys(_SHOWN[:1] if name in _PLAIN else _SHOWN, schema)
    feature = {"ShownEntity": "Feature", "ShownEntities": "FeatureCollection"}.get(name)
    if feature:
        types["application/geo+json"] = {"schema": {"$ref": f"#/components/schemas/{feature}"}}
    return {"content": types, **({"headers": _PAGING} if name.endswith(_PAGED) else {})}


_PAGED = ("Entities", "Subscriptions", "DeadLetters")
_PAGING = {
    "Link": {
        "description": "The @context of a JSON answer; the pages before and after this one (rel prev, next)",
        "schema": {"type": "string"},
    },
    "NGSILD-Results-Count": {"description": "With count=true: the number of all results", "schema": {"type": "string"}},
}
