"""The grammar of `q` (clause 4.9)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngsi import query
from ngsi.context import CORE, Context
from ngsi.errors import BadRequestData
from ngsi.moments import Moment
from ngsi.pattern import Pattern
from ngsi.query_tree import Absent, And, Between, Compare, Exists, Linked, Literal, OneOf, Or, Path

pytestmark = pytest.mark.clause("4.9")

A = Path(("a",))
EIGHT = Moment("DateTime", "2026-03-01T08:00:00")


def one(value: Literal) -> OneOf:
    return OneOf((value,))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("a", Exists(A)),
        ("!a", Absent(A)),
        ("a==1", Compare(A, "==", one(1))),
        ("a!=-2.5", Compare(A, "!=", one(-2.5))),
        ("a>=1e3", Compare(A, ">=", one(1000.0))),
        ("a==true", Compare(A, "==", one(True))),
        ('a<"x;y|z)"', Compare(A, "<", one("x;y|z)"))),
        (r'a=="\"\u00e9"', Compare(A, "==", one('"é'))),
        ("a==open", Compare(A, "==", one("open"))),
        ("a==urn:ngsi-ld:City:Pisa", Compare(A, "==", one("urn:ngsi-ld:City:Pisa"))),
        ("a>2026-03-01T08:00:00Z", Compare(A, ">", one(EIGHT))),
        ("a==2026-03-01T08:00:00,000Z,5", Compare(A, "==", OneOf((EIGHT, 5)))),
        ('a>"2026-03-01T08:00:00.0Z"', Compare(A, ">", one(EIGHT))),
        ("a==2026-03-01", Compare(A, "==", one(Moment("Date", "2026-03-01")))),
        ("a<=08:00:00.50Z", Compare(A, "<=", one(Moment("Time", "08:00:00", "5")))),
        ("a==1..2.5", Compare(A, "==", Between(1, 2.5))),
        ('a!="a".."b"', Compare(A, "!=", Between("a", "b"))),
        ('a=="x","y,z",3', Compare(A, "==", OneOf(("x", "y,z", 3)))),
        ("a~=^R[;|)](x|y);b", And((Compare(A, "~=", pattern := Pattern("", "", False)), Exists(Path(("b",)))))),
        ("a.b.c", Exists(Path(("a", "b", "c")))),
        ("a.observedAt", Exists(Path(("a",), "observedAt"))),
        ("https://uri.etsi.org/ngsi-ld/modifiedAt", Exists(Path((), "modifiedAt"))),
        ("a[b.c-d.$e]", Exists(Path(("a",), None, ("b", "c-d", "$e")))),
        ("a[*]==1", Compare(Path(("a",), None, ("*",)), "==", one(1))),
        ("https://e.org/x.y#z.b", Exists(Path(("https://e%2Eorg/x%2Ey#z", "b")))),
        ("location", Exists(Path(("ngsi-ld:location",)))),
        ("r{a}", Exists(Linked("r", (), A))),
        (
            "r{T,U:s{a[b]}}>1",
            Compare(Linked("r", ("T", "U"), Linked("s", (), Path(("a",), None, ("b",)))), ">", one(1)),
        ),
        ("r{ngsi-ld:scope}", Exists(Linked("r", (), Path(("ngsi-ld:scope",))))),
        ("a;b|c;d", Or((And((Exists(A), Exists(Path(("b",))))), And((Exists(Path(("c",))), Exists(Path(("d",)))))))),
        ("(a|b);c", And((Or((Exists(A), Exists(Path(("b",))))), Exists(Path(("c",)))))),
    ],
)
def test_the_tree_of_a_query(text: str, node: object) -> None:
    tree = query.parse(text, CORE)
    if isinstance(tree, And) and isinstance(tree.terms[0], Compare) and isinstance(tree.terms[0].operand, Pattern):
        assert tree.terms[0].operand.source == "^R[;|)](x|y)"
        tree = And((Compare(A, "~=", pattern), *tree.terms[1:]))
    assert tree == node


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the name of an attribute"),
        ("speed>", "a value"),
        ("a==", "a value"),
        ("a=1", "an operator"),
        ("a==1)", r"a '\('"),
        ("(a==1", r"'\)'"),
        ("a==1;", "the name of an attribute"),
        ("a;;b", "the name of an attribute"),
        ("a>4..5", "one value after >"),
        ("a>1,2", "one value after >"),
        ("a>true", "put in order"),
        ("a<open", "put in order"),
        ('a==1.."x"', "one type"),
        ("a==true..false", "put in order"),
        ("a==007", "in quotes"),
        ("a==1e999", "in quotes"),
        ("a==2026-13-01T00:00:00Z", "in quotes"),
        ('a=="x', "quotation mark"),
        (r'a=="\q"', "escapes of JSON"),
        (r'a=="\ud800"', "escapes of JSON"),
        ("a==\ud800", "surrogates"),
        ("a b", "an operator"),
        ("1a==1", "the name of an attribute"),
        ("a[]", "a member"),
        ("a[b", r"'\]'"),
        ("a[b][c]", "an operator"),
        ("a.observedAt[b]", "no members"),
        ("observedAt>1", "an attribute before observedAt"),
        ("observedAt.a", "at the end of the path"),
        ("a.value>1", "the name of an attribute"),
        ("id==x", "the name of an attribute"),
        ("a.b{c}", "an operator"),
        ("r{a", "'}'"),
        ("a~=", "a regular expression"),
        ("a~=(b", "Regular expression"),
        ("(" * 17 + "a" + ")" * 17, "at most 16 parentheses"),
        ("r{" * 10_000 + "a", "at most 16 parentheses"),
        ("|".join(["a"] * 201), "at most 200 terms"),
        ("a==" + ",".join("1" * 1001), "at most 1000 values"),
        (".".join("a" * 17), "at most 16 names"),
        ("a[" + ".".join("a" * 17) + "]", "at most 16 members"),
    ],
)
def test_a_wrong_query_is_refused_with_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(BadRequestData, match=expected) as refused:
        query.parse(text, CORE)
    assert "a right " in refused.value.detail


@given(st.text(alphabet='ab01.,;|()[]{}!=<>~":-TZ\\ é', max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(BadRequestData):
        query.parse(text, CORE)


def test_names_and_values_expand_with_the_context() -> None:
    context = Context("http://c", [{"usage": "https://e.org/usage", "Teaching": "https://e.org/Teaching"}])
    text = 'usage==Teaching,"Research",5;other==Teaching'
    node = query.parse(text, context, expand_values=frozenset({"usage"}))
    research = "https://uri.etsi.org/ngsi-ld/default-context/Research"
    assert node == And(
        (
            Compare(Path(("https://e%2Eorg/usage",)), "==", OneOf(("https://e.org/Teaching", research, 5))),
            Compare(Path(("other",)), "==", one("Teaching")),
        )
    )


def test_a_query_in_a_body_may_be_percent_encoded() -> None:
    assert query.decoded("brandName==%22Tesla%22") == 'brandName=="Tesla"'
    assert query.decoded('share=="100%"') == 'share=="100%"'


def test_a_type_before_the_attribute_of_linked_entities_is_no_prefix() -> None:
    context = Context("http://c", [{"Room": "https://e.org/Room", "sdm": "https://e.org/sdm/"}])
    assert query.parse("r{Room:a}", context) == Exists(Linked("r", ("https://e%2Eorg/Room",), A))
    assert query.parse("r{sdm:a}", context) == Exists(Linked("r", (), Path(("https://e%2Eorg/sdm/a",))))


def test_numbers_beyond_64_bits_are_doubles() -> None:
    assert query.parse(f"a=={2**63 - 1}", CORE) == Compare(A, "==", one(2**63 - 1))
    assert query.parse(f"a==-{2**70}", CORE) == Compare(A, "==", one(-(2.0**70)))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a.b>1;(!c|r{d}==2)", {"a", "c", "r"}),
        ("modifiedAt>2026-03-01T08:00:00Z", set()),
        ("a.modifiedAt>2026-03-01T08:00:00Z", {"a"}),
    ],
)
def test_the_attributes_a_query_mentions(text: str, keys: set[str]) -> None:
    assert query.attributes(query.parse(text, CORE)) == keys
