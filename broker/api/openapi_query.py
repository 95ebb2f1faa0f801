"""The schema of a Query, the body of a query by POST, for the OpenAPI document (clause 5.2.23)."""

from broker.api.openapi_words import CONTEXT, SELECTOR, TEXTS, URI, Schema, describe

GEO_QUERY = describe(
    "Where the entities must be (clause 5.2.13)",
    {
        "georel": {"type": "string", "examples": ["near;maxDistance==2000"]},
        "geometry": {"type": "string", "examples": ["Point"]},
        "coordinates": {"type": ["array", "string"], "description": "As in GeoJSON, or as its text; longitude first"},
        "geoproperty": {"type": "string", "description": "The attribute that is compared, location by default"},
    },
    ["georel", "geometry", "coordinates"],
)
_ORDERING = describe(
    "In which order (clause 5.2.43)",
    {
        "orderBy": TEXTS | {"examples": [["temperature;desc"]]},
        "collation": {"type": "string", "examples": ["fr"]},
        "coordinates": {"type": "array", "description": "What distances are measured from"},
        "geometry": {"type": "string", "description": "The type of that geometry, Point by default"},
    },
    ["orderBy"],
)

QUERY: Schema = describe(
    "What a query by POST asks for (clause 5.2.23); members mean what the parameters of the same name mean",
    {
        "type": {"const": "Query"},
        "entities": {"type": "array", "items": SELECTOR, "minItems": 1},
        "attrs": TEXTS,
        "pick": TEXTS,
        "omit": TEXTS,
        "q": {"type": "string", "examples": ["temperature>25"]},
        "geoQ": GEO_QUERY,
        "scopeQ": {"type": "string", "examples": ["/Campus/#"]},
        "csf": {"type": "string", "description": "Which context sources; entities of this broker need none"},
        "lang": {"type": "string", "examples": ["fr"]},
        "datasetId": {"type": "array", "items": {"type": "string"}, "minItems": 1, "examples": [["@none"]]},
        "join": {"enum": ["flat", "inline", "@none"]},
        "joinLevel": {"type": "integer", "minimum": 1, "maximum": 10},
        "containedBy": {"type": "array", "items": URI, "minItems": 1},
        "expandValues": {"type": "string", "examples": ["usage"]},
        "jsonKeys": {"type": "string", "examples": ["config"]},
        "geometryProperty": {"type": "string", "description": "With GeoJSON: the attribute that is the geometry"},
        "ordering": _ORDERING,
        "entityMap": {"type": "boolean"},
        "entityMapLifetime": {"type": "string", "examples": ["PT10M"]},
        "splitEntities": {"type": "boolean"},
        "@context": CONTEXT,
    },
    ["type"],
    examples=[{"type": "Query", "entities": [{"type": "Room"}], "q": "temperature>25"}],
)
