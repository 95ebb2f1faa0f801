"""A query as text again."""

import pytest
from hypothesis import given

from ngsi import query
from ngsi.context import CORE, Context
from ngsi.query_text import text
from tests.broker.query_cases import queries

pytestmark = pytest.mark.clause("4.9")

CAMPUS = Context("https://e.org/c", [{"co2": "https://e.org/terms#co2", "Zone": "https://e.org/terms#Zone"}])


@given(queries)
def test_the_text_of_a_tree_means_the_same_tree(written: str) -> None:
    tree = query.parse(written, CORE)
    assert query.parse(text(tree, CORE), CORE) == tree


@pytest.mark.parametrize(
    "written",
    [
        "co2>400;!a.b",
        'zone{Zone:co2}=="x"|(a;b);c',
        'a[b.c]~="^R[;|)]"',
        "a.observedAt>=2026-03-01T08:00:00.5Z",
        "a==1..2",
        'a=="x","y;z",true,3',
    ],
)
def test_names_are_those_of_the_reader(written: str) -> None:
    tree = query.parse(written, CAMPUS)
    assert text(tree, CAMPUS) == written
    assert query.parse(text(tree, CAMPUS), CAMPUS) == tree
