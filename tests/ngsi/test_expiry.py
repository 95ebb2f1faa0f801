"""Transient entities and attributes (clause 4.22)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi import expiry
from ngsi.datetimes import fixed, parse, require_expiry
from ngsi.entity import Attributes, Entity, Instance

TIMES = ["2026-03-01T08:00:00Z", "2026-03-01T08:00:00.250Z", "2026-03-01T08:00:01Z", "2026-03-01T08:00:01.5Z"]
moments = st.sampled_from([require_expiry(text, "") for text in TIMES])


@st.composite
def instances(draw: st.DrawFn, depth: int = 1) -> Instance:
    instance: Instance = {"type": "Property", "value": draw(st.integers(0, 3))}
    if draw(st.booleans()):
        instance["expiresAt"] = draw(moments)
    if depth and draw(st.booleans()):
        instance["attrs"] = draw(attributes(depth - 1))
    return instance


@st.composite
def attributes(draw: st.DrawFn, depth: int = 1) -> Attributes:
    made: Attributes = {}
    for key in draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3)):
        made[key] = [draw(instances(depth))]
        if draw(st.booleans()):
            made[key].append({**draw(instances(depth)), "datasetId": "urn:x:1"})
    return made


entities = st.builds(
    lambda attrs, expires_at: Entity("urn:x:1", ["T"], TIMES[0], TIMES[0], attrs, [], expires_at),
    attributes(),
    st.one_of(st.none(), moments),
)


@given(entities, st.sampled_from(["2026-03-01T08:00:00.100Z", "2026-03-01T08:00:00.250Z", "2026-03-01T08:00:01.000Z"]))
@pytest.mark.clause("4.22")
def test_what_is_left_is_not_due(entity: Entity, now: str) -> None:
    due = expiry.due(entity)
    left = expiry.living(entity, now)
    if due is None or due > now:
        assert left == entity
    elif left is not None:
        assert left != entity
        later = expiry.due(left)
        assert later is None or later > now


@given(entities, st.sampled_from(["2026-03-01T08:00:00.250Z", "2026-03-01T08:00:01.000Z"]))
@pytest.mark.clause("4.22")
def test_the_deletion_tells_what_it_deleted(entity: Entity, now: str) -> None:
    patched = expiry.expire(entity, now)
    left = expiry.living(entity, now)
    assert (patched.entity is None) == (left is None)
    if patched.entity is None or left is None:
        return
    assert patched.entity.attributes == left.attributes
    gone = sum(map(len, entity.attributes.values())) - sum(map(len, left.attributes.values()))
    assert [event for event, _, _ in patched.changes].count("deleted") == gone
    assert (patched.entity is entity) == (not patched.changes)


SPELLINGS = [
    ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z"),
    ("2026-03-01T08:00:00.5Z", "2026-03-01T08:00:00.500Z"),
    ("2026-03-01T08:00:00,123456Z", "2026-03-01T08:00:00.123Z"),
]


@pytest.mark.parametrize(("sent", "held"), SPELLINGS)
@pytest.mark.clause("4.22")
def test_an_expiry_has_one_of_two_spellings(sent: str, held: Any) -> None:
    assert require_expiry(sent, "expiresAt") == held
    assert parse(fixed(held)) == parse(held)
