"""A value observed earlier does not overwrite a later one, in whatever order they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi import newer
from ngsi.context import CORE
from ngsi.document import Fragment, read_entity
from ngsi.entity import Entity

NOW = "2026-03-01T09:00:00.000Z"


def fragment(number: int, at: str, name: str = "n") -> Fragment:
    value = {"type": "Property", "value": number, "observedAt": at}
    return read_entity({"id": "urn:ngsi-ld:Thing:1", "type": "Thing", name: value}, CORE)


@given(st.permutations(range(8)))
def test_the_latest_stands_whatever_the_order(order: list[int]) -> None:
    entity: Entity | None = None
    for number in order:
        entity = newer.upsert_newer(fragment(number, f"2026-03-01T08:00:{number:02}Z"), entity, NOW).entity
    assert entity is not None
    assert entity.attributes["n"][0]["value"] == 7


def test_what_changes_nothing_gives_the_same_entity() -> None:
    entity = newer.upsert_newer(fragment(1, "2026-03-01T08:00:01Z"), None, NOW).entity
    for again in (fragment(1, "2026-03-01T08:00:01Z"), fragment(0, "2026-03-01T08:00:00Z")):
        assert newer.upsert_newer(again, entity, NOW).entity is entity


def test_instances_of_other_datasets_and_attributes_are_not_compared() -> None:
    entity = newer.upsert_newer(fragment(1, "2026-03-01T08:00:01Z"), None, NOW).entity
    other = newer.upsert_newer(fragment(2, "2026-03-01T08:00:00Z", "m"), entity, NOW).entity
    assert other is not None
    assert other.attributes.keys() == {"n", "m"}
    body = {"type": "Property", "value": 3, "observedAt": "2026-03-01T08:00:00Z", "datasetId": "urn:x:1"}
    named = read_entity({"id": "urn:ngsi-ld:Thing:1", "type": "Thing", "n": body}, CORE)
    both = newer.upsert_newer(named, entity, NOW).entity
    assert both is not None
    assert len(both.attributes["n"]) == 2


@pytest.mark.parametrize(
    ("at", "other", "said"),
    [
        ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00.001Z", True),
        ("2026-03-01T08:00:00.5Z", "2026-03-01T08:00:00.25Z", False),
        ("2026-03-01T08:00:00.000Z", "2026-03-01T08:00:00Z", False),
        ("2026-02-31T08:00:00Z", "2026-03-01T08:00:00.000Z", False),
        ("2026-03-01T08:00:00.000Z", "2026-03-01T08:00:00.001Z", True),
    ],
)
def test_before(at: str, other: str, said: bool) -> None:
    assert newer.is_before(at, other) is said
