"""NGSI-LD Null in every write operation, and what merges, updates and appends leave of an attribute (HTTP)."""

from typing import Any

import pytest

from tests.broker.api.conftest import Api
from tests.builders import unique_id

NULL = "urn:ngsi-ld:null"
DATASET = "urn:dataset:1"
WHOLE = {
    "p": {
        "type": "Property",
        "value": {"a": 1, "b": 2},
        "unitCode": "CEL",
        "sub": [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": DATASET}],
    },
    "m": [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": DATASET}],
    "label": {"type": "LanguageProperty", "languageMap": {"en": "x", "fr": "y"}},
    "doors": {"type": "ListRelationship", "objectList": [{"object": "urn:a:1"}]},
    "s": {"type": "Property", "value": 5},
}
DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"


async def changed(api: Api, method: str, suffix: str, body: Any) -> tuple[int, Any, dict[str, Any]]:
    """Status and body of a write to a new entity with the attributes of WHOLE, and the entity after it."""
    entity_id = unique_id()
    await api("POST", "entities", {"id": entity_id, "type": "Room", "scope": "/A", **WHOLE})
    status, _, answer = await api(method, f"entities/{entity_id}{suffix}", body)
    _, _, shown = await api("GET", f"entities/{entity_id}")
    return status, answer, shown


@pytest.mark.clause("4.5.0")
@pytest.mark.parametrize(
    "fragment",
    [
        {"s": {"type": "Property", "value": 1, "sub": {"type": "Relationship", "object": NULL}}},
        {"s": [1, NULL]},
        {"s": {"value": [{"a": NULL}]}},
        {"label": {"languageMap": {"en": NULL}}},
        {"label": {"languageMap": {"en": ["x", NULL]}}},
        {"owner": {"object": ["urn:a:1", NULL]}},
        {"doors": {"objectList": ["urn:a:1", NULL]}},
        {"doors": {"objectList": [{"object": NULL}]}},
        {"list": {"valueList": [1, NULL]}},
        {"use": {"vocab": ["a", NULL]}},
        {"s": {"value": 1, "unitCode": NULL}},
        {"s": {"value": 1, "datasetId": NULL}},
        {"owner": {"object": "urn:a:1", "objectType": NULL}},
        {"s": {"value": 1, "valueType": NULL}},
        {"type": NULL},
        {"type": ["Room", NULL]},
    ],
)
async def test_null_is_refused_where_nothing_can_be_deleted(api: Api, fragment: dict[str, Any]) -> None:
    whole = {"type": "Room", **fragment}
    for method, suffix, body in (("POST", "/attrs", fragment), ("PUT", "", whole)):
        status, _, shown = await changed(api, method, suffix, body)
        assert (status, shown["s"]) == (400, WHOLE["s"]), method
    assert (await api("POST", "entities", {"id": unique_id(), **whole}))[0] == 400
    for action in ("create", "upsert", "upsert?options=update"):
        status, _, answer = await api("POST", f"entityOperations/{action}", [{"id": unique_id(), **whole}])
        assert (status, answer["errors"][0]["error"]["status"]) == (207, 400), action


@pytest.mark.clause("5.6.2")
@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ({"p": {"type": "Property", "value": 1, "sub": NULL}}, {"p": {"type": "Property", "value": 1}}),
        ({"s": {"value": 1, "unitCode": NULL, "observedAt": NULL}}, {"s": {"type": "Property", "value": 1}}),
        ({"doors": {"type": "ListRelationship", "objectList": [{"object": NULL}]}}, {"doors": None}),
        ({"scope": NULL}, {"scope": None}),
    ],
)
async def test_an_update_leaves_nothing_of_what_is_null(
    api: Api, fragment: dict[str, Any], expected: dict[str, Any]
) -> None:
    status, _, shown = await changed(api, "PATCH", "/attrs", fragment)
    assert (status, {name: shown.get(name) for name in expected}) == (204, expected)


@pytest.mark.parametrize("suffix", ["", "/attrs"])
async def test_null_takes_the_end_of_an_entity_away(api: Api, suffix: str) -> None:
    entity_id = unique_id()
    await api("POST", "entities", {"id": entity_id, "type": "Room", "expiresAt": "2999-01-01T00:00:00Z"})
    assert (await api("PATCH", f"entities/{entity_id}{suffix}", {"expiresAt": NULL}))[0] == 204
    assert "expiresAt" not in (await api("GET", f"entities/{entity_id}?options=sysAttrs"))[2]


async def test_an_append_without_overwriting_adds_the_instances_that_are_missing(api: Api) -> None:
    body = {"m": [{"value": 9}, {"value": 8, "datasetId": "urn:dataset:2"}], "new": 1}
    status, answer, shown = await changed(api, "POST", "/attrs?options=noOverwrite", body)
    assert (status, answer["updated"]) == (207, [f"{DEFAULT}new"])
    assert [left["attributeName"] for left in answer["notUpdated"]] == [f"{DEFAULT}m"]
    assert [instance["value"] for instance in shown["m"]] == [1, 2, 8]


@pytest.mark.clause("5.6.17")
@pytest.mark.parametrize(
    ("query", "fragment", "expected"),
    [
        # Sub-attributes are merged instance by instance, by whatever name of theirs.
        (
            "",
            {"p": {"type": "Property", "sub": {"value": 7, "datasetId": DATASET}}},
            {"sub": [{"type": "Property", "value": 1}, {"type": "Property", "value": 7, "datasetId": DATASET}]},
        ),
        (
            "",
            {"p": {"type": "Property", "sub": {"value": NULL, "datasetId": DATASET}}},
            {"sub": {"type": "Property", "value": 1}},
        ),
        (
            "",
            {"p": {"type": "Property", f"{DEFAULT}sub": NULL}},
            {"sub": {"type": "Property", "value": 2, "datasetId": DATASET}},
        ),
        ("", {"p": {"type": "Property", "new": {"a": 1}}}, {"new": {"type": "Property", "value": {"a": 1}}}),
        ("", {"p": {"@type": "Property", "unitCode": NULL}}, {"unitCode": None, "value": {"a": 1, "b": 2}}),
        ("", {"p": {"type": "Relationship", "object": "urn:a:1", "sub": NULL}}, {"object": "urn:a:1", "sub": None}),
        ("", {"s": {"type": "Point", "coordinates": [1, 2]}}, {"type": "GeoProperty"}),
        # What GET shows in simplified form can be merged back.
        (
            "?format=simplified",
            {"m": {"dataset": {"@none": 7, "urn:dataset:9": 9}}},
            [
                {"type": "Property", "value": 7},
                {"type": "Property", "value": 2, "datasetId": DATASET},
                {"type": "Property", "value": 9, "datasetId": "urn:dataset:9"},
            ],
        ),
        ("?format=simplified", {"s": [{"value": 1}]}, {"type": "Property", "value": [{"value": 1}]}),
    ],
)
async def test_a_merge_goes_into_instances_and_sub_attributes(
    api: Api, query: str, fragment: dict[str, Any], expected: Any
) -> None:
    status, _, shown = await changed(api, "PATCH", query, fragment)
    merged = shown[next(iter(fragment))]
    if isinstance(expected, dict):
        merged = {name: merged.get(name) for name in expected}
    assert (status, merged) == (204, expected)


@pytest.mark.clause("5.6.17")
@pytest.mark.parametrize(
    ("query", "fragment"),
    [
        ("", {"location": 5}),
        ("", {"location": {"type": "Property", "value": 5}}),
        ("", {"m": {"value": 1, "datasetId": NULL}}),
        ("", {"m": {"value": 1, "datasetId": "none"}}),
        ("", {"m": [{"value": 1, "datasetId": DATASET}, {"value": 2, "datasetId": DATASET}]}),
        ("", {"m": [{"value": 1}, {"value": 2}]}),
        ("", {"p": {"type": "Property", "sub": [{"value": 1}, {"value": 2}]}}),
        ("", {"p": {"type": "Property", "new": 1, f"{DEFAULT}new": 2}}),
        ("", {"s": [1, NULL]}),
        ("", {"type": NULL}),
        ("?lang=", {"label": "z"}),
        ("?lang=*", {"label": "z"}),
        ("?lang=en,fr", {"label": "z"}),
    ],
)
async def test_a_merge_that_makes_no_right_attribute_is_refused(api: Api, query: str, fragment: dict[str, Any]) -> None:
    status, answer, shown = await changed(api, "PATCH", query, fragment)
    assert (status, answer["type"]) == (400, "https://uri.etsi.org/ngsi-ld/errors/BadRequestData")
    assert {name: shown[name] for name in WHOLE} == WHOLE
    entity_id = unique_id()
    await api("POST", "entities", {"id": entity_id, "type": "Room", **WHOLE})
    if not query:
        assert (await api("POST", "entityOperations/merge", [{"id": entity_id, **fragment}]))[0] == 207


@pytest.mark.clause("5.6.4")
async def test_a_partial_update_knows_sub_attributes_by_their_iris(api: Api) -> None:
    status, _, shown = await changed(api, "PATCH", "/attrs/p", {f"{DEFAULT}sub": NULL})
    assert (status, "sub" in shown["p"]) == (204, False)
    status, answer, _ = await changed(api, "PATCH", "/attrs/s", {"object": "urn:a:1"})
    assert (status, "is a Property; a partial update cannot give it 'object'" in answer["detail"]) == (400, True)
