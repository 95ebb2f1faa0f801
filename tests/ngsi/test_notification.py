"""What subscribers are shown of a change (clause 5.8.6): the payloads of deletions and previous values, filters."""

from typing import Any

import pytest

from ngsi import patch
from ngsi.changes import Before, Change, overwritten_values
from ngsi.context import CORE
from ngsi.document import read_entity, read_fragment
from ngsi.entity import Entity
from ngsi.notification import changed_entity, deleted_entity, view
from ngsi.notification_parameters import GEO_JSON
from ngsi.vocabulary import NULL

pytestmark = pytest.mark.clause("5.8.6")

BEFORE, AT = "2026-03-01T08:00:00.000Z", "2026-03-01T09:00:00.000Z"
ID = "urn:x:1"
EVERY_KIND: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], Any]] = {
    "Property": ({"value": 1}, {"value": 2}, {"previousValue": 1}, NULL),
    "GeoProperty": (
        {"value": {"type": "Point", "coordinates": [1, 2]}},
        {"value": {"type": "Point", "coordinates": [3, 4]}},
        {"previousValue": {"type": "Point", "coordinates": [1, 2]}},
        NULL,
    ),
    "Relationship": ({"object": "urn:y:1"}, {"object": "urn:y:2"}, {"previousObject": "urn:y:1"}, NULL),
    "LanguageProperty": (
        {"languageMap": {"en": "one", "fr": "un"}},
        {"languageMap": {"en": "two"}},
        {"previousLanguageMap": {"en": "one", "fr": "un"}},
        {"@none": NULL},
    ),
    "VocabProperty": ({"vocab": "old"}, {"vocab": "new"}, {"previousVocab": "old"}, NULL),
    "JsonProperty": ({"json": {"a": None}}, {"json": {"b": 1}}, {"previousJson": {"a": None}}, NULL),
    "ListProperty": ({"valueList": [1, 2]}, {"valueList": [2]}, {"previousValueList": [1, 2]}, [NULL]),
    "ListRelationship": (
        {"objectList": [{"object": "urn:y:1"}]},
        {"objectList": [{"object": "urn:y:2"}]},
        {"previousObjectList": [{"object": "urn:y:1"}]},
        [NULL],
    ),
}


def made(**attributes: Any) -> Entity:
    created = patch.create(read_entity({"id": ID, "type": "T", **attributes}, CORE), None, BEFORE).entity
    assert created is not None
    return created


def updated(old: Entity, **attributes: Any) -> tuple[Entity, Change]:
    """The entity and the change that a write of these attributes leads to, as the committer records it."""
    patched = patch.update_attributes(read_fragment(attributes, CORE, nulls=True), old, AT, ID)
    assert patched.entity is not None
    change = Change("r", AT, "updated", patched.changes)
    if any(event == "deleted" for event, _, _ in patched.changes):
        overwritten = {key: old.attributes.get(key) for _, key, _ in patched.changes}
        change.before = Before(overwritten, old.types, old.scopes, BEFORE, BEFORE, None)
    else:
        change.previous = overwritten_values(old, patched.changes)
    return patched.entity, change


def deletion(old: Entity) -> Change:
    return Change("r", AT, "deleted", before=Before(dict(old.attributes), old.types, [], BEFORE, BEFORE, None))


def shown(entity: Entity, change: Change, **members: Any) -> dict[str, Any]:
    """`members` of NotificationParams; those of the subscription itself begin with an underscore."""
    own = {name[1:]: members.pop(name) for name in list(members) if name.startswith("_")}
    endpoint = {"uri": "http://h/", "accept": members.pop("accept", "application/json")}
    seen = view({**own, "notification": {"endpoint": endpoint, **members}}, CORE, embeds_context=False)
    if change.event == "deleted":
        return deleted_entity(entity, change, seen, None)
    return changed_entity(entity, change, seen)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_previous_values_of_every_kind(kind: str) -> None:
    old, new, previous, _ = EVERY_KIND[kind]
    entity, change = updated(made(a={"type": kind, **old}, b=1), a={"type": kind, **new})
    told = shown(entity, change, showChanges=True)
    assert told["a"] == {"type": kind, **new, **previous}
    assert told["b"] == {"type": "Property", "value": 1}
    assert shown(entity, change)["a"] == {"type": kind, **new}
    assert shown(entity, change, showChanges=True, format="concise")["a"].keys() == {*new, *previous}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_deleted_attributes_of_every_kind_are_null_markers(kind: str) -> None:
    old, _, previous, marker = EVERY_KIND[kind]
    entity, change = updated(made(a={"type": kind, **old}, b=1), a=NULL)
    (member,) = old
    assert shown(entity, change)["a"] == {"type": kind, member: marker}
    assert shown(entity, change, showChanges=True)["a"] == {"type": kind, member: marker, **previous}
    assert shown(entity, change, format="keyValues") == {"id": ID, "type": "T", "b": 1, "a": NULL}
    whole = shown(made(a={"type": kind, **old}), deletion(made(a={"type": kind, **old})), showChanges=True)
    assert whole == {"id": ID, "type": "T", "deletedAt": AT, "a": {"type": kind, member: marker, **previous}}


def test_created_attributes_have_no_previous_value() -> None:
    entity, change = updated(made(b=1), a=2)
    assert shown(entity, change, showChanges=True)["a"] == {"type": "Property", "value": 2}


def test_the_instance_that_changed_shows_what_it_was() -> None:
    first, second = {"value": 1, "datasetId": "urn:d:1"}, {"value": 2, "datasetId": "urn:d:2"}
    entity, change = updated(made(a=[first, second]), a={"value": 3, "datasetId": "urn:d:2"})
    assert shown(entity, change, showChanges=True)["a"] == [
        {"type": "Property", **first},
        {"type": "Property", "value": 3, "datasetId": "urn:d:2", "previousValue": 2},
    ]


def test_a_deleted_instance_stands_beside_those_that_are_left() -> None:
    entity, change = updated(
        made(a=[{"value": 1}, {"value": 2, "datasetId": "urn:d:2"}]), a={"value": NULL, "datasetId": "urn:d:2"}
    )
    assert shown(entity, change)["a"] == [
        {"type": "Property", "value": 1},
        {"type": "Property", "value": NULL, "datasetId": "urn:d:2"},
    ]
    assert shown(entity, change, format="simplified")["a"] == {"dataset": {"@none": 1, "urn:d:2": NULL}}
    assert shown(entity, change, _datasetId=["@none"])["a"] == {"type": "Property", "value": 1}
    assert "a" not in shown(entity, change, _datasetId=["urn:d:3"])


def test_system_attributes_of_what_was_deleted() -> None:
    entity, change = updated(made(a=1, b=2), a=NULL)
    times = {"createdAt": BEFORE, "modifiedAt": BEFORE}
    assert shown(entity, change, sysAttrs=True)["a"] == {"type": "Property", "value": NULL, **times, "deletedAt": AT}
    whole = made(a=1)
    assert shown(whole, deletion(whole)) == {"id": ID, "type": "T", "deletedAt": AT}
    assert shown(whole, deletion(whole), sysAttrs=True) == {"id": ID, "type": "T", **times, "deletedAt": AT}


def test_language() -> None:
    texts = {"type": "LanguageProperty", "languageMap": {"en": "one", "fr": "un"}}
    entity, change = updated(made(a=texts), a={"type": "LanguageProperty", "languageMap": {"en": "two", "fr": "deux"}})
    told = shown(entity, change, _lang="fr", showChanges=True)
    assert told["a"] == {"type": "Property", "value": "deux", "lang": "fr", "previousValue": "un"}
    assert shown(entity, change, _lang="fr", format="simplified")["a"] == "deux"


def test_an_earlier_version_of_the_standard() -> None:
    entity, change = updated(
        made(a={"type": "ListProperty", "valueList": [1]}), a={"type": "ListProperty", "valueList": [2]}
    )
    assert shown(entity, change, _ngsildConformance="1.6")["a"] == {"type": "Property", "value": [2]}


def test_geojson() -> None:
    place = {"type": "Point", "coordinates": [1, 2]}
    entity, change = updated(made(a=1, location=place), a=2)
    told = shown(entity, change, accept=GEO_JSON, format="keyValues")
    assert told == {
        "id": ID,
        "type": "Feature",
        "geometry": place,
        "properties": {"type": "T", "a": 2, "location": place},
    }


def test_projection_concerns_markers_too() -> None:
    entity, change = updated(made(a=1, b=2, c=3), a=NULL, b=NULL)
    assert shown(entity, change, pick=["id", "b", "c"], format="keyValues") == {"id": ID, "c": 3, "b": NULL}
    assert shown(entity, change, omit=["b"], format="keyValues") == {"id": ID, "type": "T", "c": 3, "a": NULL}
    assert shown(entity, change, attributes=["c"], format="keyValues") == {"id": ID, "type": "T", "c": 3}
