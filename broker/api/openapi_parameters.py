"""Schemas and examples of the query parameters, for the OpenAPI document; a parameter not named here is any text."""

from typing import Any

Schema = dict[str, Any]

_BOOLEAN: Schema = {"type": "boolean", "default": False}
_FORMS = ("normalized", "concise", "simplified", "keyValues")
_SHOWN = (*_FORMS, "sysAttrs")

_SCHEMAS: dict[str, Schema] = {
    "count": _BOOLEAN,
    "deleteAll": _BOOLEAN,
    "details": _BOOLEAN,
    "local": _BOOLEAN,
    "reload": _BOOLEAN,
    "format": {"enum": list(_FORMS), "default": "normalized"},
    "geometry": {"enum": ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"]},
    "join": {"enum": ["flat", "inline", "@none"]},
    "joinLevel": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
    "limit": {"type": "integer", "minimum": 0, "maximum": 1000, "default": 20},
    "observedAt": {"type": "string", "format": "date-time"},
    "offset": {"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 0},
}

_EXAMPLES: dict[str, str] = {
    "attrs": "temperature,co2",
    "coordinates": "[-7.62,33.0]",
    "datasetId": "urn:ngsi-ld:Dataset:roof",
    "expandValues": "usage",
    "geoproperty": "location",
    "georel": "near;maxDistance==500",
    "id": "urn:ngsi-ld:Room:1,urn:ngsi-ld:Room:2",
    "idPattern": "^urn:ngsi-ld:Room:",
    "lang": "fr,ar;q=0.8",
    "omit": "location",
    "orderBy": "temperature;desc",
    "pick": "id,temperature",
    "q": "temperature>25;co2<800",
    "scopeQ": "/Campus/#",
    "type": "Room",
}

_OPTIONS: dict[str, tuple[str, ...]] = {
    "appendAttributes": ("noOverwrite",),
    "updateBatch": ("noOverwrite",),
    "upsertBatch": ("replace", "update"),
    "querySubscriptions": ("sysAttrs",),
    "retrieveSubscription": ("sysAttrs",),
}
"""Keywords of the parameter `options` by operation; those not named take the forms of an entity and sysAttrs."""


def parameter(operation: str, name: str, text: str) -> dict[str, Any]:
    """The description of one parameter of an operation."""
    described: dict[str, Any] = {"name": name, "in": "query", "description": text}
    if name == "options":
        items = {"enum": list(_OPTIONS.get(operation, _SHOWN))}
        # style form without explode: one parameter, its values separated by commas
        described |= {"schema": {"type": "array", "items": items, "minItems": 1}, "style": "form", "explode": False}
    else:
        described["schema"] = _SCHEMAS.get(name, {"type": "string"})
    if name in _EXAMPLES:
        described["example"] = _EXAMPLES[name]
    return described
