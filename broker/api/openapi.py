"""The OpenAPI document of the NGSI-LD operations, made from the table that also routes them."""

import inspect
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from broker.api.routing import Operation, Resource, not_offered
from ngsi.vocabulary import CONTEXT_REL

_PARAMETERS = {
    "attrs": "Names of attributes, separated by commas: the answer is reduced to them",
    "containedBy": "Ids of entities that no link is followed to, separated by commas",
    "count": "true: the header NGSILD-Results-Count tells the number of all results",
    "csf": "Condition on context sources; this broker asks none, so nothing comes of it",
    "datasetId": "URIs of attribute instances (@none: the default one), separated by commas; for a deletion one URI",
    "deleteAll": "true: all instances of the attribute",
    "expandValues": "Attributes whose values in q are terms of the @context",
    "format": "normalized (default), concise, simplified or keyValues",
    "id": "Ids of entities, separated by commas",
    "idPattern": "Regular expression to be found in the id",
    "join": "flat: the entities linked to those found stand behind them; inline: inside them",
    "joinLevel": "With join: how many links away, 1 by default, 10 at the most",
    "jsonKeys": "Attributes whose brackets in q hold keys of JSON; here they always do",
    "lang": "Languages wanted, as in Accept-Language; for a merge the language of strings for LanguageProperties",
    "limit": "Results in a page, 20 by default, 1000 at the most",
    "local": "true: this broker's own entities only",
    "observedAt": "The new observedAt of the attributes named that had one",
    "offset": "Results to skip",
    "omit": "Names of members to leave out",
    "options": "Keywords, separated by commas",
    "pick": "Names of members to show",
    "q": 'Condition on attributes, e.g. temperature>37.5;deviceState=="ok"',
    "splitEntities": "Concerns entities spread over brokers; nothing comes of it here",
    "type": "Entity type selection, e.g. Zone,ThermalCamera or (Device;Camera)",
}

_EXAMPLES: dict[str, Any] = {
    "Entity": {
        "id": "urn:ngsi-ld:Room:1",
        "type": "Room",
        "temperature": {"type": "Property", "value": 21.5, "unitCode": "CEL", "observedAt": "2026-03-01T08:30:00Z"},
        "isPartOf": {"type": "Relationship", "object": "urn:ngsi-ld:Building:1"},
    },
    "AttributeFragment": {"type": "Property", "value": 22.0},
    "EntityFragment": {"temperature": {"type": "Property", "value": 22.0}},
    "EntityList": [{"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": {"type": "Property", "value": 21.5}}],
    "Query": {
        "type": "Query",
        "entities": [{"type": "Room", "idPattern": ":1$"}, {"type": "Hall"}],
        "q": "temperature>20",
        "pick": ["id", "temperature"],
    },
    "IdList": ["urn:ngsi-ld:Room:1", "urn:ngsi-ld:Room:2"],
    "Subscription": {
        "type": "Subscription",
        "entities": [{"type": "Room"}],
        "watchedAttributes": ["temperature"],
        "q": "temperature>25",
        "notification": {"endpoint": {"uri": "http://127.0.0.1:3000/notify", "accept": "application/json"}},
    },
}

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "status": {"type": "integer"},
    },
    "example": {
        "type": "https://uri.etsi.org/ngsi-ld/errors/BadRequestData",
        "title": "Bad request data",
        "detail": "Attribute 'speed': a Property needs the member 'value'",
        "status": 400,
    },
}


def openapi(app: FastAPI, resources: list[Resource]) -> dict[str, Any]:
    """The OpenAPI 3.1 document: FastAPI's own routes and every NGSI-LD operation with its clause."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version="0.1.0", description=app.description, routes=app.routes)
        document.setdefault("components", {}).setdefault("schemas", {})["ProblemDetails"] = _PROBLEM
        for resource in resources:
            document["paths"][resource.path] = {
                method.lower(): _operation(resource, operation) for method, operation in resource.operations.items()
            }
        app.openapi_schema = document
    return app.openapi_schema


def _operation(resource: Resource, operation: Operation) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(operation.handler.__doc__ or "").partition("\n")
    is_offered = operation.handler is not not_offered
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [resource.segments[2] if is_offered else "not offered yet"],
        "summary": summary if is_offered else f"{operation.name}: answers 501",
        "description": f"{description.strip()}\n\nETSI GS CIM 009 clause {operation.clause}.".strip(),
        "parameters": [*_path_parameters(resource), *_query_parameters(operation), *_HEADERS],
        "responses": {str(status): {"description": text} for status, text in operation.answers.items()}
        | _refusals(is_offered),
    }
    if operation.body is not None:
        content = {"example": _EXAMPLES[operation.body]}
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": content, "application/ld+json": content},
        }
    return described


def _path_parameters(resource: Resource) -> list[dict[str, Any]]:
    return [
        {"name": segment[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
        for segment in resource.segments
        if segment[0] == "{"
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "schema": {"type": "string"}, "description": _PARAMETERS[name]}
        for name in sorted(operation.parameters)
    ]


_HEADERS = [
    {
        "name": "Link",
        "in": "header",
        "schema": {"type": "string"},
        "description": f'The @context: <URL>; rel="{CONTEXT_REL}"; type="application/ld+json"',
    },
    {
        "name": "NGSILD-Tenant",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The tenant, if not the default",
    },
]


def _refusals(is_offered: bool) -> dict[str, Any]:
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    texts = {"400": "The request is wrong; detail names the input, the rule and the way out"}
    if is_offered:
        texts["503"] = "The broker is overloaded or MongoDB is away: try again after Retry-After seconds"
    else:
        texts = {"501": "Not offered by this broker yet"}
    return {status: {"description": text, "content": problem} for status, text in texts.items()}
