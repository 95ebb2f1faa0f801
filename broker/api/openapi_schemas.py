"""The JSON schemas of the OpenAPI document: what goes in and comes out (clauses 5.2 and 4.5), with examples."""

from typing import Any

from broker.api.openapi_deliveries import DELIVERY_SCHEMAS
from broker.api.openapi_query import QUERY
from broker.api.openapi_subscriptions import SUBSCRIPTION_SCHEMAS
from broker.api.openapi_words import CONTEXT, MOMENT, NAMES, TEXTS, URI, Schema, describe
from ngsi.vocabulary import VALUE_MEMBER

_VALUES: dict[str, Schema] = {
    "Property": {"description": "Any JSON value but null", "type": ["string", "number", "boolean", "object", "array"]},
    "GeoProperty": {"$ref": "#/components/schemas/Geometry"},
    "Relationship": {"oneOf": [URI, {"type": "array", "items": URI, "minItems": 1}]},
    "LanguageProperty": {
        "type": "object",
        "description": "A text, or several, for each language tag of BCP 47; @none: without a language",
        "additionalProperties": {"type": ["string", "array"]},
        "examples": [{"fr": "Salle de lecture", "ar": "قاعة المطالعة"}],
    },
    "VocabProperty": {"oneOf": [{"type": "string"}, TEXTS], "description": "Terms of the @context"},
    "JsonProperty": {"description": "A JSON object or an array of them; nothing in it is expanded"},
    "ListProperty": {"type": "array", "description": "Values whose order counts"},
    "ListRelationship": {
        "type": "array",
        "description": "Ids whose order counts, bare or as {object: id}",
        "items": {"type": ["string", "object"]},
    },
}
_SAMPLES: dict[str, Any] = {
    "Property": 21.5,
    "GeoProperty": {"type": "Point", "coordinates": [-7.62, 33.0]},
    "Relationship": "urn:ngsi-ld:Building:library",
    "LanguageProperty": {"fr": "Salle de lecture", "ar": "قاعة المطالعة"},
    "VocabProperty": "Teaching",
    "JsonProperty": {"firmware": None, "flags": [1, 2]},
    "ListProperty": [1, 2, 3],
    "ListRelationship": ["urn:ngsi-ld:Door:1", "urn:ngsi-ld:Door:2"],
}

ROOM: dict[str, Any] = {
    "id": "urn:ngsi-ld:Room:1",
    "type": "Room",
    "temperature": {"type": "Property", "value": 21.5, "unitCode": "CEL", "observedAt": "2026-03-01T08:30:00Z"},
    "isPartOf": {"type": "Relationship", "object": "urn:ngsi-ld:Building:1"},
}


def _kind(kind: str) -> Schema:
    """The schema of one kind of attribute, sub-attributes included (clauses 4.5.2 to 4.5.24)."""
    member = VALUE_MEMBER[kind]
    return {
        "type": "object",
        "required": ["type", member],
        "properties": {
            "type": {"const": kind},
            member: _VALUES[kind],
            "datasetId": URI,
            "observedAt": MOMENT,
            **(
                {"unitCode": {"type": "string", "description": "UN/CEFACT code"}}
                if kind in ("Property", "ListProperty")
                else {}
            ),
        },
        "additionalProperties": {"$ref": "#/components/schemas/Attribute"},
        "examples": [{"type": kind, member: _SAMPLES[kind]}],
    }


_ENTITY_MEMBERS: Schema = {
    "id": {**URI, "examples": ["urn:ngsi-ld:Room:1"]},
    "type": {"oneOf": [{"type": "string"}, TEXTS], "description": "A type, or several"},
    "scope": {
        "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "examples": ["/Campus/Library"],
    },
    "expiresAt": MOMENT,
    "@context": CONTEXT,
}
_ATTRIBUTES: Schema = {"additionalProperties": {"$ref": "#/components/schemas/Attribute"}}
SCHEMAS: dict[str, Schema] = {
    **{kind: _kind(kind) for kind in VALUE_MEMBER},
    "Geometry": describe(
        "GeoJSON (RFC 7946) without GeometryCollection; longitude first",
        {
            "type": {"enum": ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"]},
            "coordinates": {"type": "array"},
        },
        ["type", "coordinates"],
        examples=[{"type": "Point", "coordinates": [-7.62, 33.0]}],
    ),
    "Attribute": {
        "description": "One instance, or an array of instances with different datasetIds",
        "anyOf": [
            *({"$ref": f"#/components/schemas/{kind}"} for kind in VALUE_MEMBER),
            {"title": "concise or simplified", "description": "The value alone, or an instance without its type"},
        ],
    },
    "Entity": describe(
        "An entity (clause 5.2.4); every other member is an attribute",
        _ENTITY_MEMBERS,
        ["id", "type"],
        **_ATTRIBUTES,
        examples=[ROOM, {"id": "urn:ngsi-ld:Room:2", "type": "Room", "temperature": 22.0}],
    ),
    "EntityFragment": describe(
        "Attributes of an entity, and where the operation takes them its types and scopes",
        _ENTITY_MEMBERS,
        [],
        **_ATTRIBUTES,
        examples=[{"temperature": {"type": "Property", "value": 22.0}}],
    ),
    "AttributeFragment": describe(
        "One attribute, or the part of it that changes",
        {},
        [],
        examples=[{"type": "Property", "value": 22.0}],
    ),
    "ShownEntity": describe(
        "An entity as asked for: in the form of `format`, with the members of `pick`, `omit` and `attrs`",
        {"id": URI, "type": {"type": ["string", "array"]}},
        [],
        examples=[ROOM],
    ),
    "EntityList": {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Entity"},
        "minItems": 1,
        "examples": [[ROOM]],
    },
    "ShownEntities": {"type": "array", "items": {"$ref": "#/components/schemas/ShownEntity"}, "examples": [[ROOM]]},
    "Feature": describe(
        "An entity in GeoJSON (clause 4.5.16)",
        {
            "id": URI,
            "type": {"const": "Feature"},
            "geometry": {"type": ["object", "null"]},
            "properties": {"type": "object"},
        },
        ["type", "geometry", "properties"],
    ),
    "FeatureCollection": describe(
        "Entities in GeoJSON (clause 4.5.17)",
        {
            "type": {"const": "FeatureCollection"},
            "features": {"type": "array", "items": {"$ref": "#/components/schemas/Feature"}},
        },
        ["type", "features"],
    ),
    "IdList": {
        "type": "array",
        "items": URI,
        "minItems": 1,
        "examples": [["urn:ngsi-ld:Room:1", "urn:ngsi-ld:Room:2"]],
    },
    "Query": QUERY,
    "EntityMap": describe(
        "What a query has found, kept for a while (clause 5.2.39)",
        {
            "id": URI,
            "type": {"const": "EntityMap"},
            "expiresAt": MOMENT,
            "entityMap": {
                "type": "object",
                "description": "Entity id → where the entity is: @none for this broker",
                "additionalProperties": TEXTS,
            },
        },
        ["id", "type", "expiresAt", "entityMap"],
        examples=[{"id": "urn:ngsi-ld:EntityMap:1", "type": "EntityMap", "entityMap": {ROOM["id"]: ["@none"]}}],
    ),
    "EntityMapFragment": describe(
        "When the map shall expire; other members are ignored",
        {"expiresAt": MOMENT, "@context": CONTEXT},
        [],
        examples=[{"expiresAt": "2126-03-01T09:00:00Z"}],
    ),
    **SUBSCRIPTION_SCHEMAS,
    **DELIVERY_SCHEMAS,
    "LdContext": describe(
        "A JSON-LD document",
        {"@context": CONTEXT},
        ["@context"],
        examples=[{"@context": {"temperature": "https://city.example/terms#temperature"}}],
    ),
    "ServedLdContext": {
        "type": "object",
        "description": "The JSON-LD document; with details=true what is known of it (URL, localId, kind, timestamp …)",
    },
    "LdContexts": {
        "type": "array",
        "items": {"type": ["string", "object"]},
        "description": "URLs; with details=true what is known of each",
    },
    "EntityTypes": {
        "oneOf": [
            describe("The names of the types", {"typeList": NAMES}, ["id", "type", "typeList"]),
            {"type": "array", "items": describe("A type", {"attributeNames": NAMES}, ["id", "type", "typeName"])},
        ],
        "description": "EntityTypeList, with details=true an array of EntityType (clauses 5.2.24 and 5.2.25)",
    },
    "EntityTypeInfo": describe(
        "A type (clause 5.2.26)",
        {"entityCount": {"type": "integer"}, "attributeDetails": {"type": "array", "items": {"type": "object"}}},
        ["id", "type", "typeName", "entityCount", "attributeDetails"],
    ),
    "Attributes": {
        "oneOf": [
            describe("The names of the attributes", {"attributeList": NAMES}, ["id", "type", "attributeList"]),
            {"type": "array", "items": describe("An attribute", {"typeNames": NAMES}, ["id", "type", "attributeName"])},
        ],
        "description": "AttributeList, with details=true an array of Attribute (clauses 5.2.27 and 5.2.28)",
    },
    "AttributeInfo": describe(
        "An attribute (clause 5.2.28)",
        {"attributeCount": {"type": "integer"}, "attributeTypes": NAMES, "typeNames": NAMES},
        ["id", "type", "attributeName", "attributeCount", "attributeTypes", "typeNames"],
    ),
    "ContextSourceIdentity": describe(
        "Who this broker is (clause 5.2.40)",
        {
            "id": URI,
            "type": {"const": "ContextSourceIdentity"},
            "contextSourceAlias": {"type": "string", "description": "Its name in Via headers, for the tenant given"},
            "contextSourceUptime": {"type": "string", "format": "duration", "examples": ["PT86400S"]},
            "contextSourceTimeAt": MOMENT,
        },
        ["id", "type", "contextSourceAlias", "contextSourceUptime", "contextSourceTimeAt"],
    ),
    "Tenants": {
        "type": "array",
        "items": describe(
            "A tenant", {"name": {"type": "string"}, "createdAt": MOMENT, "leaving": {"const": True}}, ["name"]
        ),
        "examples": [[{"name": "settat", "createdAt": "2026-03-01T08:30:00.000Z"}]],
    },
    "UpdateResult": describe(
        "Which attributes were written (clause 5.2.18); names are full IRIs",
        {
            "updated": {"type": "array", "items": {"type": "string"}},
            "notUpdated": {
                "type": "array",
                "items": describe(
                    "An attribute and why not",
                    {"attributeName": {"type": "string"}, "reason": {"type": "string"}},
                    ["attributeName", "reason"],
                ),
            },
        },
        ["updated", "notUpdated"],
    ),
    "BatchOperationResult": describe(
        "Which entities were written, and what was wrong with the others (clause 5.2.16)",
        {
            "success": {"type": "array", "items": {"type": "string"}},
            "errors": {
                "type": "array",
                "items": describe(
                    "An entity and what was wrong with it",
                    {"entityId": {"type": "string"}, "error": {"$ref": "#/components/schemas/ProblemDetails"}},
                    ["entityId", "error"],
                ),
            },
        },
        ["success", "errors"],
    ),
    "ProblemDetails": describe(
        "An error (RFC 7807, clause 5.5.3); `detail` names the input, the rule and the way out",
        {
            "type": {**URI, "description": "An error type of clause 5.5.2"},
            "title": {"type": "string"},
            "detail": {"type": "string"},
            "status": {"type": "integer"},
        },
        ["type", "title", "detail", "status"],
        examples=[
            {
                "type": "https://uri.etsi.org/ngsi-ld/errors/BadRequestData",
                "title": "Bad request data",
                "detail": "Attribute 'speed': a Property needs the member 'value'",
                "status": 400,
            }
        ],
    ),
}
