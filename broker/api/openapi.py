"""The OpenAPI document of the NGSI-LD operations, made from the table that also routes them."""

import inspect
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from broker.api.openapi_families import FAMILIES
from broker.api.openapi_headers import answer_headers, header_parameters
from broker.api.openapi_parameters import parameter
from broker.api.openapi_refusals import general_refusals, refusal
from broker.api.openapi_schemas import SCHEMAS
from broker.api.routing import Operation, Resource
from ngsi.vocabulary import CORE_CONTEXT_URL

_SHOWN = ("application/json", "application/ld+json")

_ANSWERS: dict[tuple[str, int], str] = {
    ("retrieveEntity", 200): "ShownEntity",
    ("queryEntities", 200): "ShownEntities",
    ("queryBatch", 200): "ShownEntities",
    ("queryEntities", 201): "ShownEntities",
    ("queryBatch", 201): "ShownEntities",
    ("retrieveEntity", 203): "ShownEntity",
    ("queryEntities", 203): "ShownEntities",
    ("queryBatch", 203): "ShownEntities",
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

_PLAIN = frozenset({"BatchOperationResult", "UpdateResult", "IdList"})
"""Schemas of answers that are JSON and never JSON-LD."""


def openapi(app: FastAPI, resources: list[Resource]) -> dict[str, Any]:
    """The OpenAPI 3.1 document: FastAPI's own routes and every NGSI-LD operation with its clause."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version="0.1.0", description=app.description, routes=app.routes)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(SCHEMAS)
        document["tags"] = [{"name": name, "description": text} for name, text in FAMILIES.items()]
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
    family = resource.segments[3 if resource.segments[1] == "ex" else 2].strip("{}")
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [family if operation.is_offered else "later"],
        "summary": summary.replace("`", ""),
        "description": f"{description.strip()}\n\nETSI GS CIM 009 clause {operation.clause}.".strip(),
        "parameters": [*_path_parameters(resource), *_query_parameters(operation), *header_parameters(operation)],
        "responses": _responses(method, operation),
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
    names = [segment[1:-1] for segment in resource.segments if segment[0] == "{"]
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _STEPS[name][0],
            "schema": {"type": "string"},
            "example": _STEPS[name][1],
        }
        for name in names
    ]


_STEPS = {
    "attributeName": ("Name of the attribute, by the @context; or its IRI, percent-encoded", "temperature"),
    "contextId": (
        "The localId of the @context, or its URL, percent-encoded",
        "urn:ngsi-ld:jsonldContext:7a78df7d0302d47c4c47d7472d55ff6a",
    ),
    "entityId": ("Id of the entity", "urn:ngsi-ld:Room:1"),
    "entityMapId": ("Id of the entity map", "urn:ngsi-ld:EntityMap:1"),
    "instanceId": ("Id of one instance in the history of the attribute", "urn:ngsi-ld:Instance:1"),
    "notificationId": (
        "Id of the notification",
        "urn:ngsi-ld:Notification:6f1f3b52-0000-8000-a000-000000000000",
    ),
    "registrationId": ("Id of the registration", "urn:ngsi-ld:ContextSourceRegistration:1"),
    "snapshotId": ("Id of the snapshot", "urn:ngsi-ld:Snapshot:1"),
    "subscriptionId": ("Id of the subscription", "urn:ngsi-ld:Subscription:1"),
    "tenant": ("Name of the tenant", "settat"),
    "type": ("Name of the entity type, by the @context; or its IRI, percent-encoded", "Room"),
}
"""What stands in a path, and an example of it."""


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [parameter(operation.name, name) for name in sorted(operation.parameters) if operation.is_offered]


def _responses(method: str, operation: Operation) -> dict[str, Any]:
    """Every status that the operation can answer with, its own ones first."""
    found: dict[str, Any] = {}
    for status, text in operation.answers.items():
        if status >= 400:
            found[str(status)] = refusal(status, text)
            continue
        schema = _ANSWERS.get((operation.name, status), "BatchOperationResult" if status == 207 else None)
        found[str(status)] = {"description": text, **answer_headers(operation, status, schema)}
        if operation.offers_events:
            found[str(status)]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
        elif schema is not None:
            found[str(status)]["content"] = _content(schema)
    for status in general_refusals(method):
        found.setdefault(str(status), refusal(status))
    return found if operation.is_offered else dict(sorted(found.items(), key=lambda item: item[0] != "501"))


def _content(name: str) -> dict[str, Any]:
    """The media types of an answer with this schema."""
    schema = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    types: dict[str, Any] = dict.fromkeys(_SHOWN[:1] if name in _PLAIN else _SHOWN, schema)
    feature = {"ShownEntity": "Feature", "ShownEntities": "FeatureCollection"}.get(name)
    if feature:
        types["application/geo+json"] = {"schema": {"$ref": f"#/components/schemas/{feature}"}}
    return types
