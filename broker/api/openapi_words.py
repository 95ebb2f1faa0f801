"""Parts that several schemas of the OpenAPI document are made of."""

from typing import Any

Schema = dict[str, Any]

URI: Schema = {"type": "string", "format": "uri"}
MOMENT: Schema = {"type": "string", "format": "date-time", "examples": ["2026-03-01T08:30:00Z"]}
TEXTS: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1}
NAMES: Schema = {"type": "array", "items": {"type": "string"}}
CONTEXT: Schema = {
    "description": "With application/ld+json: a URL, an object of terms, or an array of both",
    "type": ["string", "object", "array"],
}


def describe(description: str, properties: Schema, required: list[str], **more: Any) -> Schema:
    """A JSON object with these members, of which some have to be there."""
    return {"type": "object", "description": description, "properties": properties, "required": required, **more}


SELECTOR = describe(
    "Entities of a type, perhaps with this id or an id like that",
    {
        "type": {"type": "string"},
        "id": {"oneOf": [URI, {"type": "array", "items": URI}]},
        "idPattern": {"type": "string"},
    },
    ["type"],
)
