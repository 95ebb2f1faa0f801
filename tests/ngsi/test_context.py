"""@contexts: expansion and compaction of names as JSON-LD does it, within what NGSI-LD allows (clauses 4.4, 5.5.7)."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ngsi.context import CORE, Context, user_source
from ngsi.context_source import absolute, references, require_web_address
from ngsi.core_context import CORE_URLS, TERMS
from ngsi.errors import BadRequestData
from ngsi.names import is_name, key
from ngsi.vocabulary import CORE_CONTEXT_URL, DEFAULT_CONTEXT, NGSI_LD

EX = "https://example.org/"


def context(*tables: dict[str, Any]) -> Context:
    return Context("https://example.org/c.jsonld", tables)


TERM_DEFINITIONS: list[tuple[str, list[dict[str, Any]], str, str]] = [
    ("an IRI", [{"speed": f"{EX}speed"}], "speed", f"{EX}speed"),
    ("an object", [{"speed": {"@id": f"{EX}speed", "@type": "@vocab"}}], "speed", f"{EX}speed"),
    ("a compact IRI", [{"ex": EX, "speed": "ex:speed"}], "speed", f"{EX}speed"),
    ("a prefix defined later on", [{"speed": "ex:speed", "ex": EX}], "speed", f"{EX}speed"),
    ("another term", [{"velocity": "speed", "speed": f"{EX}speed"}], "velocity", f"{EX}speed"),
    ("a term of an earlier table", [{"speed": f"{EX}speed"}, {"velocity": "speed"}], "velocity", f"{EX}speed"),
    ("itself", [{"speed": "speed"}], "speed", f"{DEFAULT_CONTEXT}speed"),
    ("only a type", [{"speed": {"@type": "@id"}}], "speed", f"{DEFAULT_CONTEXT}speed"),
    ("only a type, under a @vocab", [{"@vocab": EX, "speed": {"@type": "@id"}}], "speed", f"{EX}speed"),
    ("a name under a @vocab", [{"@vocab": EX, "velocity": "speed"}], "velocity", f"{EX}speed"),
    ("nothing, under a @vocab: the core's wins", [{"@vocab": EX}], "speed", f"{DEFAULT_CONTEXT}speed"),
    ("a prefix", [{"ex": EX}], "ex:speed", f"{EX}speed"),
    ("a prefix of the core", [{}], "ngsi-ld:speed", f"{NGSI_LD}speed"),
    ("a prefix of the core in a definition", [{"speed": "ngsi-ld:speed"}], "speed", f"{NGSI_LD}speed"),
    ("the last definition", [{"speed": f"{EX}a"}, {"speed": f"{EX}b"}], "speed", f"{EX}b"),
    ("null takes it back", [{"speed": f"{EX}a"}, {"speed": None}], "speed", f"{DEFAULT_CONTEXT}speed"),
    ("a null @id takes it back", [{"speed": f"{EX}a"}, {"speed": {"@id": None}}], "speed", f"{DEFAULT_CONTEXT}speed"),
    ("a later prefix changes no earlier term", [{"ex": EX, "s": "ex:s"}, {"ex": "https://b/"}], "s", f"{EX}s"),
    ("the core cannot be redefined", [{"location": f"{EX}location"}], "location", f"{NGSI_LD}location"),
    ("nor its prefixes", [{"ngsi-ld": EX}], "ngsi-ld:speed", f"{NGSI_LD}speed"),
    ("an absolute IRI", [{}], f"{EX}speed", f"{EX}speed"),
    ("a URN", [{}], "urn:example:speed", "urn:example:speed"),
    ("@version and the like", [{"@version": 1.1, "@protected": True, "@base": EX}], "a", f"{DEFAULT_CONTEXT}a"),
]


@pytest.mark.parametrize(("what", "tables", "name", "iri"), TERM_DEFINITIONS, ids=lambda value: str(value)[:40])
@pytest.mark.clause("5.5.7")
def test_a_name_stands_for(what: str, tables: list[dict[str, Any]], name: str, iri: str) -> None:
    assert context(*tables).expand_iri(name) == iri, what


COMPACTIONS: list[tuple[str, dict[str, Any], str, str]] = [
    ("the shortest term", {"velocity": f"{EX}speed", "speed": f"{EX}speed"}, f"{EX}speed", "speed"),
    ("of equally short ones the first", {"b": f"{EX}speed", "a": f"{EX}speed"}, f"{EX}speed", "a"),
    ("a prefix", {"ex": EX}, f"{EX}speed", "ex:speed"),
    ("an object with @prefix", {"ex": {"@id": f"{EX}a-", "@prefix": True}}, f"{EX}a-b", "ex:b"),
    ("no prefix that does not end in a delimiter", {"ex": f"{EX}a-"}, f"{EX}a-b", f"{EX}a-b"),
    ("no prefix that the core redefines", {"title": EX}, f"{EX}speed", f"{EX}speed"),
    ("no prefixed name that is a term", {"ex": EX, "ex:a": f"{EX}b"}, f"{EX}a", f"{EX}a"),
    ("any text, for values of a VocabProperty", {"the speed": f"{EX}speed"}, f"{EX}speed", "the speed"),
    ("a default name", {}, f"{DEFAULT_CONTEXT}speed", "speed"),
    ("a default name that means something else here", {"speed": EX}, f"{DEFAULT_CONTEXT}speed", ""),
    ("a core name", {}, f"{NGSI_LD}location", "location"),
]


@pytest.mark.parametrize(("what", "table", "iri", "name"), COMPACTIONS, ids=lambda value: str(value)[:40])
@pytest.mark.clause("5.5.7")
def test_an_iri_is_written_as(what: str, table: dict[str, Any], iri: str, name: str) -> None:
    assert context(table).compact_iri(iri) == (name or "ngsi-ld:default-context/speed"), what


WRONG: list[tuple[list[dict[str, Any]], str]] = [
    ([{"Vehicle": {"@id": f"{EX}Vehicle", "@context": {"speed": f"{EX}speed"}}}], "scoped"),
    ([{"Vehicle": {"@id": f"{EX}Vehicle", "@context": {}}}], "scoped"),
    ([{"a": "b", "b": "a"}], "leads back to itself"),
    ([{"a": "b:x", "b": "a:y"}], "leads back to itself"),
    ([{f"t{number}": f"t{number + 1}" for number in range(100)}], "over more than"),
    ([{"a": 5}], "'a'"),
    ([{"a": ["x"]}], "'a'"),
    ([{"a": {"@id": 5}}], "'a'"),
    ([{"@vocab": 5}], "@vocab"),
]


@pytest.mark.parametrize(("tables", "words"), WRONG)
@pytest.mark.clause("5.5.7")
def test_what_is_no_context(tables: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(BadRequestData, match=words):
        context(*tables)


def test_a_scoped_context_on_a_core_term_does_no_harm() -> None:
    assert context({"ngsildproof": {"@id": EX, "@context": {}}}).expand_iri("ngsildproof") == f"{NGSI_LD}ngsildproof"


names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,3}", fullmatch=True) | st.sampled_from(sorted(TERMS))
bases = st.sampled_from([EX, f"{EX}a#", f"{EX}a:", f"{EX}b-", DEFAULT_CONTEXT, NGSI_LD, "urn:example:"])
iris = st.builds(str.__add__, bases, st.from_regex(r"[A-Za-z0-9_./:-]{0,5}", fullmatch=True)) | st.builds(
    DEFAULT_CONTEXT.__add__, names
)
definitions = (
    iris
    | names
    | st.none()
    | st.builds("{}:{}".format, names, names)
    | st.builds(lambda iri, prefix: {"@id": iri, "@prefix": prefix}, iris, st.booleans())
)
tables = st.dictionaries(names | st.builds("{}:{}".format, names, names) | st.just("@vocab"), definitions, max_size=5)
# A prefix with the name of a scheme would make every IRI of that scheme something else (JSON-LD 1.1, 5.1.3).
schemes = frozenset({"urn", "http", "https"})


@given(st.lists(tables, max_size=3), iris)
@pytest.mark.clause("5.5.7")
def test_what_was_compacted_expands_again(given_tables: list[dict[str, Any]], iri: str) -> None:
    assume(all(schemes.isdisjoint(table) for table in given_tables))
    try:
        made = context(*given_tables)
    except BadRequestData:
        assume(False)
    name = made.compact_iri(iri)
    assert made.expand_iri(name) == iri
    if is_name(iri):
        attribute = made.compact(key(iri))
        assert is_name(attribute)
        assert made.expand(attribute) == key(iri)


@given(st.lists(tables, max_size=2), st.sampled_from(sorted(TERMS)))
def test_no_context_changes_a_core_term(given_tables: list[dict[str, Any]], term: str) -> None:
    try:
        made = context(*given_tables)
    except BadRequestData:
        assume(False)
    assert made.expand_iri(term) == CORE.expand_iri(term)


def test_what_a_context_refers_to() -> None:
    source = [f"{EX}a", [{"@import": f"{EX}b", "x": EX}, [f"{EX}c"]], CORE_CONTEXT_URL]
    assert list(references(source)) == [f"{EX}a", f"{EX}b", f"{EX}c"]


@pytest.mark.parametrize("source", [5, None, True, [EX, 7], [[None]], {"@import": 5}])
def test_what_can_be_no_context(source: Any) -> None:
    with pytest.raises(BadRequestData):
        list(references(source))


def test_nothing_is_nested_without_bound() -> None:
    source: Any = EX
    for _ in range(2000):
        source = [source]
    with pytest.raises(BadRequestData, match="deep"):
        list(references(source))
    with pytest.raises(BadRequestData, match="deep"):
        absolute(source, EX)


def test_relative_addresses_are_those_of_the_document() -> None:
    source: Any = ["b.jsonld", {"@import": "/c", "x": EX}, ["https://other.example/d"], {"y": "z"}]
    assert absolute(source, f"{EX}dir/a.jsonld") == [
        f"{EX}dir/b.jsonld",
        {"@import": f"{EX}c", "x": EX},
        ["https://other.example/d"],
        {"y": "z"},
    ]


@pytest.mark.parametrize(
    "url", ["", "c.jsonld", "ftp://h/c", "http://", "http://[::1", "file:///etc/passwd", "http://h/ c"]
)
def test_only_addresses_of_the_web_are_fetched(url: str) -> None:
    with pytest.raises(BadRequestData):
        require_web_address(url)
    assert require_web_address(f"{EX}c.jsonld") == f"{EX}c.jsonld"


@pytest.mark.parametrize("url", sorted(CORE_URLS))
def test_the_core_is_left_out_of_what_is_shown(url: str) -> None:
    assert user_source(url) == user_source([url]) == url
    assert user_source([f"{EX}a", url]) == f"{EX}a"
