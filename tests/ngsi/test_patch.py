"""Every write is a step from one state to the next, and every step can be gone back."""

import itertools
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import commit_group
from broker.commit_queue import Pending
from broker.commit_ticket import Ticket
from broker.storage.base import Stored
from ngsi import changes, patch
from ngsi.context import CORE
from ngsi.document import read_entity, read_fragment
from ngsi.entity import Entity, dataset
from ngsi.errors import AlreadyExists, BadRequestData, NgsiError, ResourceNotFound
from ngsi.representation import render
from ngsi.vocabulary import NULL, VALUE_MEMBER
from tests.ngsi.strategies import entities, fragments

ID = "urn:ngsi-ld:Thing:1"
T0, T1 = "2026-03-01T09:00:00.000Z", "2026-03-01T09:00:01.000Z"


def created(body: dict[str, Any], now: str = T0) -> Entity:
    entity = patch.create(read_entity({"id": ID, "type": "Thing", **body}, CORE), None, now).entity
    assert entity is not None
    return entity


def update(body: dict[str, Any]) -> patch.Patch:
    return partial(patch.update_attributes, read_fragment(body, CORE, nulls=True), entity_id=ID)


@given(entities())
def test_the_same_again_is_no_change(body: dict[str, Any]) -> None:
    entity = created(body)
    again = read_entity(body, CORE)
    for step in (
        partial(patch.upsert, again),
        partial(patch.update_attributes, again, entity_id=ID),
        partial(patch.replace_entity, again),
    ):
        patched = step(entity, T1)
        assert patched.entity is entity
        assert patched.changes == []


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.0), ([1], [True]), ({"a": 1}, {"a": True})])
def test_values_that_python_takes_for_equal_are_a_change(old: Any, new: Any) -> None:
    patched = update({"a": {"value": new}})(created({"a": {"type": "Property", "value": old}}), T1)
    assert patched.changes == [("updated", "a", "@none")]


def test_an_update_keeps_what_it_does_not_name() -> None:
    entity = created({"a": 1, "b": 2})
    after = update({"b": 3, "c": 4})(entity, T1).entity
    assert after is not None
    assert render(after, CORE, "simplified") == {"id": ID, "type": "Thing", "a": 1, "b": 3, "c": 4}
    assert (after.attributes["b"][0]["createdAt"], after.attributes["b"][0]["modifiedAt"]) == (T0, T1)
    assert after.attributes["a"] is entity.attributes["a"]


@pytest.mark.clause("4.5.0")
def test_null_deletes_the_instance_it_names() -> None:
    both = [{"type": "Property", "value": 1}, {"type": "Property", "value": 2, "datasetId": "urn:d:2"}]
    after = update({"a": NULL})(created({"a": both}), T1)
    assert after.changes == [("deleted", "a", "@none")]
    assert after.entity is not None
    assert [instance["value"] for instance in after.entity.attributes["a"]] == [2]


@pytest.mark.parametrize("read", [read_entity, partial(read_fragment, nulls=False)])
def test_null_is_refused_where_nothing_can_be_deleted(read: Any) -> None:
    for null in (NULL, {"type": "Property", "value": NULL}, {"type": "Property", "value": 1, "sub": NULL}):
        with pytest.raises(BadRequestData):
            read({"id": ID, "type": "Thing", "a": null}, CORE)


def test_types_accumulate_and_a_missing_entity_is_told() -> None:
    after = update({"type": ["Thing", "Room"]})(created({}), T1).entity
    assert after is not None
    assert after.types == ["Thing", "Room"]
    with pytest.raises(ResourceNotFound, match=ID):
        update({"a": 1})(None, T1)
    with pytest.raises(AlreadyExists, match=ID):
        patch.create(read_entity({"id": ID, "type": "Thing"}, CORE), created({}), T1)


def test_replacing_drops_the_rest_and_keeps_creation_times() -> None:
    entity = created({"a": 1, "b": 2})
    after = patch.replace_entity(read_entity({"id": ID, "type": "Room", "a": 5}, CORE), entity, T1)
    assert after.entity is not None
    assert render(after.entity, CORE, "simplified") == {"id": ID, "type": "Room", "a": 5}
    assert after.entity.created_at == after.entity.attributes["a"][0]["createdAt"] == T0
    assert sorted(after.changes) == [("deleted", "b", "@none"), ("updated", "a", "@none")]


steps = st.lists(
    st.tuples(st.sampled_from(["create", "update", "upsert", "replace", "delete", "drop"]), fragments()), max_size=7
)


@given(steps)
def test_every_state_of_a_flush_can_be_had_back(plan: list[tuple[str, dict[str, Any]]]) -> None:
    """Requests of one flush end in one write; `unroll` gives the state after each of them."""
    pending = [
        Pending(ID, _step(name, body), _Ticket(str(number)), 0, False) for number, (name, body) in enumerate(plan)
    ]
    group = commit_group.Group(Stored(None, 0), True, pending)
    commit_group.apply(group, T0)
    expected: list[Entity] = []
    state: Entity | None = None
    for item in pending:
        try:
            patched = item.patch(state, T0)
        except NgsiError:
            continue
        if patched.entity is not state:
            expected.append(patched.entity or state)  # type: ignore[arg-type]  # a deletion shows what it removed
            state = patched.entity
    unrolled = changes.unroll(ID, group.entity, group.changes)
    assert [entity for entity, _ in unrolled] == expected
    for (before, _), (_, change) in itertools.pairwise(unrolled):
        for event, key, dataset_id in change.attributes:
            if event == "updated":
                _require_former(before, change, key, dataset_id)


def _require_former(before: Entity, change: changes.Change, key: str, dataset_id: str) -> None:
    former = change.former(key, dataset_id)
    known = next(item for item in before.attributes[key] if dataset(item) == dataset_id)
    assert former is not None
    member = VALUE_MEMBER[known["type"]]
    assert former[member] == known[member]


def test_a_change_that_nothing_needs_to_go_back_over_keeps_the_values_it_overwrote() -> None:
    old = patch.create(read_entity({"id": ID, "type": "Thing", "a": 1, "b": 2}, CORE), None, T0).entity
    pending = [Pending(ID, update({"a": 3, "c": 4}), _Ticket("r"), 0, False)]
    group = commit_group.Group(Stored(old, 1), True, pending)
    commit_group.apply(group, T0)
    (change,) = group.changes
    assert change.before is None
    assert change.former("a", "@none") == {"value": 1}
    assert change.former("c", "@none") is None


class _Ticket(Ticket):
    def __init__(self, request: str) -> None:
        self.request = request


def _step(name: str, body: dict[str, Any]) -> patch.Patch:
    whole = {"id": ID, "type": "Thing", **body}
    plans: dict[str, patch.Patch] = {
        "create": partial(patch.create, read_entity(whole, CORE)),
        "update": update(body),
        "upsert": partial(patch.upsert, read_entity(whole, CORE)),
        "replace": partial(patch.replace_entity, read_entity(whole, CORE)),
        "delete": partial(patch.delete_entity, entity_id=ID),
        "drop": partial(patch.delete_attribute, "a", "@none", True, entity_id=ID),
    }
    return plans[name]
