"""Attribute projection (clause 4.21)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi import projection
from ngsi.context import CORE
from ngsi.errors import BadRequestData
from ngsi.projection import Members, Projection

RIGHT = [
    ("id", {"id": None}),
    ("id,co2", {"id": None, "co2": None}),
    ("id|co2", {"id": None, "co2": None}),
    ("partOf{id,owner{email}}", {"partOf": {"id": None, "owner": {"email": None}}}),
    ("a{b},c|d{e}", {"a": {"b": None}, "c": None, "d": {"e": None}}),
    ("location", {"ngsi-ld:location": None}),
    ("https://e.org/a.b", {"https://e%2Eorg/a%2Eb": None}),
]
WRONG = [
    "",
    "a,",
    ",a",
    "a,,b",
    "|a",
    "a{",
    "a{}",
    "{a}",
    "a{b",
    "a}b",
    "a{b}}",
    "a{{b}}",
    "a{b}c",
    "a b",
    "a(b",
    "id{a}",
]


@pytest.mark.parametrize(("text", "members"), RIGHT)
@pytest.mark.clause("4.21")
def test_what_is_read(text: str, members: Members) -> None:
    assert projection.parse(text, CORE, "pick") == members


@pytest.mark.parametrize("text", [*WRONG, "a{" * 30 + "b" + "}" * 30])
@pytest.mark.clause("4.21")
def test_what_is_refused(text: str) -> None:
    with pytest.raises(BadRequestData):
        projection.parse(text, CORE, "pick")


def _text(members: Members) -> str:
    return ",".join(name if inner is None else f"{name}{{{_text(inner)}}}" for name, inner in members.items())


names = st.sampled_from(["a", "b", "temperature", "id", "type"])
attributes = st.sampled_from(["a", "b", "temperature"])
trees = st.recursive(
    st.dictionaries(names, st.none(), min_size=1, max_size=3),
    lambda inner: st.dictionaries(attributes, st.one_of(st.none(), inner), min_size=1, max_size=3),
    max_leaves=8,
)


@given(trees)
@pytest.mark.clause("4.21")
def test_reading_is_the_opposite_of_writing(members: Members) -> None:
    assert projection.parse(_text(members), CORE, "pick") == members


@given(st.text(alphabet="ab,|{} é😀", max_size=30))
@pytest.mark.clause("4.21")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        members = projection.parse(text, CORE, "pick")
    except BadRequestData:
        return
    assert projection.parse(_text(members), CORE, "pick") == members


@pytest.mark.clause("4.21")
def test_braces_speak_of_linked_entities_only() -> None:
    shape = Projection(pick={"partOf": {"label": None}}, omit={"owner": {"email": None}})
    assert shape.shows("partOf")
    assert not shape.shows("label")
    assert shape.linked("partOf").shows("label")
    assert not shape.linked("partOf").shows("id")
    assert not shape.linked("owner").shows("email")
    assert shape.depth == 1
    with pytest.raises(BadRequestData, match="pick and in omit"):
        projection.require_apart({"a": {"b": None}}, {"a": {"b": None}})
    projection.require_apart({"a": {"b": None}}, {"a": {"c": None}})
