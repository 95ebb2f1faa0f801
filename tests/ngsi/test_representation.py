"""What is read can be shown, and what is shown reads back the same."""

from typing import Any

import orjson
import pytest
from hypothesis import given

from ngsi import patch
from ngsi.context import CORE, Context
from ngsi.document import read_entity
from ngsi.entity import Entity
from ngsi.representation import Form, render
from tests.ngsi.strategies import entities

NOW = "2026-03-01T09:00:00.000Z"
CONTEXT = Context(
    "https://example.org/c.jsonld", [{"temperature": "https://sdm.org/x#temperature", "sdm": "https://sdm.org/"}]
)


def held(body: dict[str, Any], context: Context = CORE) -> Entity:
    entity = patch.create(read_entity(body, context), None, NOW).entity
    assert entity is not None
    return entity


@given(entities())
@pytest.mark.clause("5.2.4")
def test_a_normalized_entity_comes_back_as_it_was(body: dict[str, Any]) -> None:
    assert orjson.dumps(render(held(body), CORE), option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        body, option=orjson.OPT_SORT_KEYS
    )


@given(entities())
@pytest.mark.clause("5.2.5")
@pytest.mark.parametrize("context", [CORE, CONTEXT])
def test_concise_says_the_same_as_normalized(context: Context, body: dict[str, Any]) -> None:
    entity = held(body, context)
    again = held(orjson.loads(orjson.dumps(render(entity, context, "concise"))), context)
    assert render(again, context) == render(entity, context)


@given(entities())
def test_a_name_means_the_same_whatever_context_shows_it(body: dict[str, Any]) -> None:
    entity = held(body)
    assert held(render(entity, CONTEXT), CONTEXT).attributes.keys() == entity.attributes.keys()


CASES: list[tuple[Form, Any]] = [
    (
        "concise",
        {
            "id": "urn:ngsi-ld:Room:1",
            "type": "Room",
            "temperature": {"value": 21.5, "unitCode": "CEL"},
            "name": "Hall",
            "isPartOf": {"object": "urn:ngsi-ld:Building:1"},
            "label": {"languageMap": {"en": "hall", "fr": "salle"}},
            "position": {"type": "Point", "coordinates": [1, 2]},
            "box": {"value": {"type": "wooden"}},
        },
    ),
    (
        "simplified",
        {
            "id": "urn:ngsi-ld:Room:1",
            "type": "Room",
            "temperature": 21.5,
            "name": "Hall",
            "isPartOf": "urn:ngsi-ld:Building:1",
            "label": {"languageMap": {"en": "hall", "fr": "salle"}},
            "position": {"type": "Point", "coordinates": [1, 2]},
            "box": {"type": "wooden"},
        },
    ),
]


@pytest.mark.parametrize(("form", "expected"), CASES)
@pytest.mark.clause("4.5.4")
def test_other_forms(form: Form, expected: dict[str, Any]) -> None:
    body = {
        "id": "urn:ngsi-ld:Room:1",
        "type": "Room",
        "temperature": {"type": "Property", "value": 21.5, "unitCode": "CEL"},
        "name": "Hall",
        "isPartOf": {"type": "Relationship", "object": "urn:ngsi-ld:Building:1"},
        "label": {"type": "LanguageProperty", "languageMap": {"en": "hall", "fr": "salle"}},
        "position": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}},
        "box": {"type": "Property", "value": {"type": "wooden"}},
    }
    assert render(held(body), CORE, form) == expected


def test_system_attributes_are_shown_on_request_only() -> None:
    entity = held({"id": "urn:ngsi-ld:Room:1", "type": "Room", "a": {"type": "Property", "value": 1, "b": 2}})
    assert "createdAt" not in str(render(entity, CORE))
    shown = render(entity, CORE, sysattrs=True)
    assert shown["createdAt"] == shown["a"]["createdAt"] == shown["a"]["b"]["modifiedAt"] == NOW
