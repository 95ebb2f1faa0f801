"""Schemas and examples of the query parameters, for the OpenAPI document; a parameter not named here is any text."""

from typing import Any

from broker.api.openapi_words import MOMENT, Schema

_BOOLEAN: Schema = {"type": "boolean", "default": False}
_FORMS = ("normalized", "concise", "simplified", "keyValues")
_SHOWN = (*_FORMS, "sysAttrs")

_TEXTS = {
    "attrs": "Names of attributes, separated by commas: the answer is reduced to them",
    "collation": "With orderBy: the collation of texts, e.g. fr or ar-MA",
    "containedBy": "Ids of entities that no link is followed to, separated by commas",
    "coordinates": "With georel: the coordinates of the geometry as GeoJSON, longitude first",
    "count": "true: the header NGSILD-Results-Count tells the number of all results",
    "csf": "Condition on context sources; this broker asks none, so nothing comes of it",
    "datasetId": "URIs of attribute instances (@none: the default one), separated by commas; for a deletion one URI",
    "deleteAll": "true: all instances of the attribute",
    "details": "true: what is known of each, instead of its name, URL or content alone",
    "drop": "For a purge: attributes that are deleted; the entities stay",
    "entityId": "The entity that it is about",
    "entityMap": "true: the ids of all that is found are kept, so that the pages are those of one set; the header "
    "NGSILD-EntityMap tells of the map, and sent with a further request uses it",
    "entityMapLifetime": "With entityMap: how long it is kept, as in PT10M (the default), P1D at the most",
    "expandValues": "Attributes whose values in q are terms of the @context",
    "format": "normalized (default), concise, simplified or keyValues",
    "geometry": "With georel: the type of the geometry to compare with",
    "geometryProperty": "With GeoJSON: the attribute that is the geometry, location by default",
    "geoproperty": "With georel: the attribute that is compared, location by default",
    "georel": "Relation to the geometry: near;maxDistance==m, near;minDistance==m, within, contains, equals, "
    "intersects, disjoint or overlaps",
    "id": "Ids of entities, separated by commas",
    "idPattern": "Regular expression to be found in the id",
    "join": "flat: the entities linked to those found stand behind them; inline: inside them",
    "joinLevel": "With join: how many links away, 1 by default, 10 at the most",
    "jsonKeys": "Attributes whose brackets in q hold keys of JSON; here they always do",
    "keep": "For a purge: attributes that stay; all others of the entities are deleted",
    "kind": "Hosted, Cached or ImplicitlyCreated",
    "lang": "Languages wanted, as in Accept-Language; for a merge the one language of strings for LanguageProperties",
    "lastEventId": "The id of the last message received: the stream goes on behind it (the header Last-Event-ID wins)",
    "limit": "Results in a page, 20 by default, 1000 at the most",
    "local": "true: this broker's own entities only",
    "observedAt": "The new observedAt of the attributes named that had one",
    "offset": "Results to skip",
    "omit": "Names of members to leave out",
    "options": "Keywords, separated by commas",
    "orderBy": "Attributes to sort by, separated by commas, each with ;asc, ;desc, ;dist-asc or ;dist-desc",
    "orderFrom": "With a distance in orderBy: the coordinates that it is measured from",
    "orderGeometry": "With orderFrom: the type of that geometry, Point by default",
    "pick": "Names of members to show",
    "q": 'Condition on attributes, e.g. temperature>37.5;deviceState=="ok"',
    "reload": "true: fetch the @context anew instead of deleting it",
    "scopeQ": "Scopes wanted: + stands for one level, # for all below; ; is and, , or | is or",
    "splitEntities": "Concerns entities spread over brokers; nothing comes of it here",
    "tenant": "The tenant, for browsers, which cannot set the header NGSILD-Tenant here",
    "type": "Entity type selection, e.g. Zone,ThermalCamera or (Device;Camera)",
}

_SCHEMAS: dict[str, Schema] = {
    "count": _BOOLEAN,
    "deleteAll": _BOOLEAN,
    "details": _BOOLEAN,
    "entityMap": _BOOLEAN,
    "local": _BOOLEAN,
    "reload": _BOOLEAN,
    "splitEntities": _BOOLEAN,
    "kind": {"enum": ["Hosted", "Cached", "ImplicitlyCreated"]},
    "format": {"enum": list(_FORMS), "default": "normalized"},
    "geometry": {"enum": ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"]},
    "join": {"enum": ["flat", "inline", "@none"]},
    "joinLevel": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
    "limit": {"type": "integer", "minimum": 0, "maximum": 1000, "default": 20},
    "observedAt": MOMENT,
    "offset": {"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 0},
}

_EXAMPLES: dict[str, str] = {
    "attrs": "temperature,co2",
    "collation": "fr",
    "containedBy": "urn:ngsi-ld:Room:2",
    "coordinates": "[-7.62,33.0]",
    "csf": 'operator=="city"',
    "datasetId": "urn:ngsi-ld:Dataset:roof",
    "drop": "co2",
    "entityId": "urn:ngsi-ld:Room:1",
    "entityMapLifetime": "PT10M",
    "expandValues": "usage",
    "geometryProperty": "location",
    "geoproperty": "location",
    "georel": "near;maxDistance==500",
    "id": "urn:ngsi-ld:Room:1,urn:ngsi-ld:Room:2",
    "idPattern": "^urn:ngsi-ld:Room:",
    "jsonKeys": "config",
    "keep": "temperature",
    "lang": "fr",
    "lastEventId": "69a3f6c00000000a0000",
    "omit": "location",
    "orderBy": "temperature;desc",
    "orderFrom": "[-7.62,33.0]",
    "orderGeometry": "Point",
    "pick": "id,temperature",
    "q": "temperature>25;co2<800",
    "scopeQ": "/Campus/#",
    "tenant": "settat",
    "type": "Room",
}

_OPTIONS: dict[str, tuple[str, ...]] = {
    "appendAttributes": ("noOverwrite",),
    "mergeEntity": _FORMS,
    "updateBatch": ("noOverwrite",),
    "upsertBatch": ("replace", "update"),
    "querySubscriptions": ("sysAttrs",),
    "retrieveSubscription": ("sysAttrs",),
}
"""Keywords of the parameter `options` by operation; those not named take the forms of an entity and sysAttrs."""


def parameter(operation: str, name: str) -> dict[str, Any]:
    """The description of one parameter of an operation."""
    described: dict[str, Any] = {"name": name, "in": "query", "description": _TEXTS[name]}
    if name == "options":
        items = {"enum": list(_OPTIONS.get(operation, _SHOWN))}
        # style form without explode: one parameter, its values separated by commas
        described |= {"schema": {"type": "array", "items": items, "minItems": 1}, "style": "form", "explode": False}
    else:
        described["schema"] = _SCHEMAS.get(name, {"type": "string"})
    if name in _EXAMPLES:
        # Not as the parameter's own example: the page would fill them all in, and such a request is a wrong one.
        described["schema"] = {**described["schema"], "examples": [_EXAMPLES[name]]}
        described["description"] += f". Example: `{_EXAMPLES[name]}`"
    return described
