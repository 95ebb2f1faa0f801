"""Partial updates and merges: what is named changes, what is not stays."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi import merge, patch
from ngsi.context import CORE
from ngsi.document import read_entity
from ngsi.entity import Entity
from ngsi.errors import BadRequestData, ResourceNotFound
from ngsi.merge import MergeOptions
from ngsi.representation import Form, render
from ngsi.vocabulary import NULL
from tests.ngsi.strategies import entities

ID = "urn:ngsi-ld:Thing:1"
T0, T1 = "2026-03-01T09:00:00.000Z", "2026-03-01T09:00:01.000Z"

THING = {
    "id": ID,
    "type": "Thing",
    "speed": {
        "type": "Property",
        "value": 50,
        "unitCode": "KMH",
        "observedAt": "2026-03-01T08:00:00Z",
        "source": "gps",
    },
    "address": {"type": "Property", "value": {"city": "Settat", "geo": {"x": 1, "y": 2}}},
    "label": {"type": "LanguageProperty", "languageMap": {"en": "gate", "fr": "porte"}},
    "owner": {"type": "Relationship", "object": "urn:x:1"},
    "level": [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:d:2"}],
}


def held(body: dict[str, Any]) -> Entity:
    entity = patch.create(read_entity(body, CORE), None, T0).entity
    assert entity is not None
    return entity


def shown(entity: Entity | None, form: Form = "concise") -> dict[str, Any]:
    assert entity is not None
    return render(entity, CORE, form)


def merged(fragment: dict[str, Any], **options: Any) -> dict[str, Any]:
    return shown(merge.merge_entity(fragment, CORE, MergeOptions(**options), held(THING), T1, ID).entity)


def updated(name: str, fragment: dict[str, Any]) -> patch.Patched:
    return merge.partial_update(name, CORE.expand(name), fragment, CORE, held(THING), T1, ID)


SPEED = {"value": 50, "unitCode": "KMH", "observedAt": "2026-03-01T08:00:00Z", "source": "gps"}

MERGES: list[tuple[dict[str, Any], dict[str, Any], str, Any]] = [
    ({"speed": 60}, {}, "speed", {**SPEED, "value": 60}),
    ({"speed": {"value": 60, "unitCode": "KNT"}}, {}, "speed", {**SPEED, "value": 60, "unitCode": "KNT"}),
    ({"speed": {"unitCode": NULL}}, {}, "speed", {m: v for m, v in SPEED.items() if m != "unitCode"}),
    ({"speed": {"type": "Property", "value": 50, "source": NULL}}, {}, "speed", {m: SPEED[m] for m in list(SPEED)[:3]}),
    (
        {"speed": {"value": 50, "source": {"value": "gps", "by": 1}}},
        {},
        "speed",
        {**SPEED, "source": {"value": "gps", "by": 1}},
    ),
    (
        {"speed": 60},
        {"observed_at": "2026-03-01T08:30:00Z"},
        "speed",
        {**SPEED, "value": 60, "observedAt": "2026-03-01T08:30:00Z"},
    ),
    ({"address": {"value": {"city": NULL, "geo": {"x": 5}}}}, {}, "address", {"geo": {"x": 5, "y": 2}}),
    ({"address": {"value": "none"}}, {}, "address", "none"),
    ({"label": {"languageMap": {"en": NULL, "ar": "باب"}}}, {}, "label", {"languageMap": {"fr": "porte", "ar": "باب"}}),
    ({"label": "door"}, {"lang": "en", "simplified": True}, "label", {"languageMap": {"en": "door", "fr": "porte"}}),
    ({"owner": "urn:x:2"}, {"simplified": True}, "owner", {"object": "urn:x:2"}),
    ({"owner": {"type": "Property", "value": 5}}, {}, "owner", 5),
    (
        {"level": {"value": 5, "datasetId": "urn:d:2"}},
        {},
        "level",
        [{"value": 1}, {"value": 5, "datasetId": "urn:d:2"}],
    ),
    ({"level": {"value": NULL, "datasetId": "urn:d:2"}}, {}, "level", 1),
    ({"owner": NULL}, {}, "owner", None),
    ({"never": NULL}, {}, "never", None),
    ({"new": {"value": {"a": 1, "b": NULL}}}, {}, "new", {"a": 1}),
]


@pytest.mark.parametrize(("fragment", "options", "name", "expected"), MERGES)
@pytest.mark.clause("5.6.17")
def test_a_merge_changes_what_it_names(
    fragment: dict[str, Any], options: dict[str, Any], name: str, expected: Any
) -> None:
    after = merged(fragment, **options)
    before = shown(held(THING))
    assert after.pop(name, None) == expected
    before.pop(name, None)
    assert after == before


@given(entities(), entities())
def test_merging_the_same_twice_is_merging_it_once(body: dict[str, Any], fragment: dict[str, Any]) -> None:
    apply = partial(merge.merge_entity, fragment, CORE, MergeOptions())
    once = apply(held(body), T1, ID)
    twice = apply(once.entity, T1, ID)
    assert twice.entity is once.entity
    assert twice.changes == []


@given(entities())
def test_merging_into_itself_changes_nothing(body: dict[str, Any]) -> None:
    entity = held(body)
    assert merge.merge_entity(body, CORE, MergeOptions(), entity, T1, ID).entity is entity


@given(entities(), st.data())
def test_a_null_for_each_attribute_leaves_none(body: dict[str, Any], data: st.DataObject) -> None:
    entity = held(body)
    for key, instances in entity.attributes.items():
        for instance in instances:
            null = {"type": "Property", "value": NULL}
            if "datasetId" in instance:
                null["datasetId"] = instance["datasetId"]
            after = merge.merge_entity({CORE.compact(key): null}, CORE, MergeOptions(), entity, T1, ID).entity
            assert after is not None
            entity = after
    assert entity.attributes == {}


PARTIALS: list[tuple[str, dict[str, Any], Any]] = [
    ("speed", {"value": 60}, {**SPEED, "value": 60}),
    ("speed", {"unitCode": "KNT"}, {**SPEED, "unitCode": "KNT"}),
    ("speed", {"source": NULL}, {m: SPEED[m] for m in list(SPEED)[:3]}),
    ("speed", {"type": "Property", "value": 50, "accuracy": 1}, {**SPEED, "accuracy": 1}),
    ("label", {"languageMap": {"en": "door"}}, {"languageMap": {"en": "door"}}),
    ("level", {"datasetId": "urn:d:2", "value": 9}, [{"value": 1}, {"value": 9, "datasetId": "urn:d:2"}]),
    ("owner", {"object": NULL}, None),
]


@pytest.mark.parametrize(("name", "fragment", "expected"), PARTIALS)
@pytest.mark.clause("5.6.4")
def test_a_partial_update_keeps_the_members_it_does_not_name(
    name: str, fragment: dict[str, Any], expected: Any
) -> None:
    assert shown(updated(name, fragment).entity).get(name) == expected


@pytest.mark.parametrize(
    ("name", "fragment", "error"),
    [
        ("speed", {"type": "Relationship", "object": "urn:x:1"}, BadRequestData),
        ("speed", {"object": "urn:x:1"}, BadRequestData),
        ("owner", {"object": "no uri"}, BadRequestData),
        ("speed", {"datasetId": NULL}, BadRequestData),
        ("speed", {"value": {"a": NULL}}, BadRequestData),
        ("speed", {"datasetId": "urn:d:9", "value": 1}, ResourceNotFound),
        ("never", {"value": 1}, ResourceNotFound),
    ],
)
def test_a_wrong_partial_update_is_refused(name: str, fragment: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        updated(name, fragment)
