"""The same query by two roads: MongoDB and memory find the same entities."""

import operator
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection

from broker.storage import mongo_documents, mongo_filter
from ngsi import evaluate, expiry, query, query_values
from ngsi.context import CORE
from ngsi.errors import BadRequestData, NotSupported
from tests.broker import query_cases
from tests.broker.query_cases import NOW, Document


@pytest.fixture(scope="module")
def collection(mongo: str) -> Iterator[Collection[Any]]:
    with MongoClient[Any](mongo) as client:
        yield client.filter_test.entities
        client.drop_database("filter_test")


def fill(collection: Collection[Any], documents: list[Document]) -> list[Document]:
    collection.delete_many({})
    stored = [{"_id": f"urn:x:{number:03}"} | document for number, document in enumerate(documents)]
    if stored:
        collection.insert_many(stored)
    return stored


def found_in_mongo(collection: Collection[Any], text: str) -> list[str]:
    conditions = {"$and": [mongo_filter.unexpired(NOW), mongo_filter.translate(query.parse(text, CORE), NOW)]}
    return [document["_id"] for document in collection.find(conditions, {"_id": 1}).sort("_id")]


def found_in_memory(documents: list[Document], text: str) -> list[str]:
    holds = evaluate.compile(query.parse(text, CORE))
    entities = [mongo_documents.entity(document) for document in documents]
    living = [left for entity in entities if entity is not None and (left := expiry.living(entity, NOW)) is not None]
    return [entity.id for entity in living if holds(entity)]


def of_values(*values: Any) -> list[Document]:
    """Entities with one Property `a`, of these values."""
    at = "2026-03-01T08:00:00.000Z"
    instances = [{"type": "Property", "value": value, "createdAt": at, "modifiedAt": at} for value in values]
    return [{"type": ["T"], "createdAt": at, "modifiedAt": at, "attrs": {"a": [instance]}} for instance in instances]


def of_system_times(*times: str) -> list[Document]:
    return [{"type": ["T"], "createdAt": at, "modifiedAt": at, "attrs": {}} for at in times]


unhurried = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@settings(unhurried, max_examples=150)
@given(
    documents=st.lists(query_cases.documents(), min_size=1, max_size=6),
    texts=st.lists(query_cases.queries, min_size=6, max_size=10),
)
def test_both_roads_find_the_same_entities(
    collection: Collection[Any], documents: list[Document], texts: list[str]
) -> None:
    stored = fill(collection, documents)
    for text in texts:
        assert found_in_mongo(collection, text) == found_in_memory(stored, text), text


@settings(unhurried, max_examples=150)
@given(
    values=st.lists(query_cases.values.filter(lambda value: value is not None), min_size=5, max_size=30),
    comparisons=st.lists(query_cases.comparisons, min_size=8, max_size=20),
)
def test_both_roads_compare_values_alike(
    collection: Collection[Any], values: list[Any], comparisons: list[str]
) -> None:
    stored = fill(collection, of_values(*values))
    for comparison in comparisons:
        assert found_in_mongo(collection, f"a{comparison}") == found_in_memory(stored, f"a{comparison}"), comparison


@settings(unhurried, max_examples=60)
@given(
    texts=st.lists(query_cases.pattern_subjects, min_size=5, max_size=20, unique=True),
    patterns=st.lists(query_cases.made_patterns, min_size=5, max_size=15),
)
def test_both_roads_read_regular_expressions_alike(
    collection: Collection[Any], texts: list[str], patterns: list[str]
) -> None:
    stored = fill(collection, of_values(*texts))
    for pattern in patterns:
        try:
            query.parse(f'a~="{pattern}"', CORE)
        except BadRequestData:
            continue
        for sign in ("~=", "!~="):
            text = f'a{sign}"{pattern}"'
            assert found_in_mongo(collection, text) == found_in_memory(stored, text), text


FRACTIONS = [
    "",
    ".0",
    ",000",
    ".2",
    ".20",
    ",2",
    ",25",
    ".25",
    ".250000",
    ".2501",
    ".249999",
    ",3",
    ".000001",
    ".05",
    ".005",
]
SPELLINGS = [
    f"{second}{fraction}Z"
    for second in ("2026-03-01T08:00:00", "2026-03-01T08:00:01", "2026-02-28T23:59:59")
    for fraction in FRACTIONS
]


def moment_of(text: str) -> tuple[str, str]:
    second, _, fraction = text.rstrip("Z").replace(",", ".").partition(".")
    return second, fraction.ljust(6, "0")


@pytest.mark.parametrize(
    ("sign", "holds"),
    [
        ("==", operator.eq),
        ("!=", operator.ne),
        ("<", operator.lt),
        ("<=", operator.le),
        (">", operator.gt),
        (">=", operator.ge),
    ],
)
def test_instants_compare_by_time_whatever_their_spelling(
    collection: Collection[Any], sign: str, holds: Callable[[Any, Any], bool]
) -> None:
    stored = fill(collection, of_values(*SPELLINGS))
    for wanted in SPELLINGS:
        expected = sorted(
            f"urn:x:{n:03}" for n, text in enumerate(SPELLINGS) if holds(moment_of(text), moment_of(wanted))
        )
        assert found_in_mongo(collection, f"a{sign}{wanted}") == expected, wanted
        assert sorted(found_in_memory(stored, f"a{sign}{wanted}")) == expected, wanted
    fill(collection, of_system_times(*SYSTEM_TIMES))
    for wanted in SPELLINGS:
        expected = [f"urn:x:{n:03}" for n, text in enumerate(SYSTEM_TIMES) if holds(moment_of(text), moment_of(wanted))]
        assert found_in_mongo(collection, f"modifiedAt{sign}{wanted}") == expected, wanted


SYSTEM_TIMES = [f"2026-03-01T08:00:0{second}.{ms}Z" for second in (0, 1) for ms in ("000", "199", "250", "251", "999")]


def test_names_and_values_never_become_operators(collection: Collection[Any]) -> None:
    stored = fill(collection, of_values({"$gt": {"$ne": 1}}, {"$where": "1"}, "$where", 2))
    for text, expected in {
        "a[$gt.$ne]==1": ["urn:x:000"],
        'a=="$where"': ["urn:x:002"],
        'a[$where]=="1"': ["urn:x:001"],
        'a=="{$ne: 5}"': [],
    }.items():
        assert found_in_mongo(collection, text) == expected
        assert found_in_memory(stored, text) == expected


def test_the_deepest_and_the_longest_query_pass_mongodb(collection: Collection[Any]) -> None:
    fill(collection, of_values("x"))
    deepest = 'a=="x"'
    for level in range(query_values.DEPTH_MAX):
        deepest = f'({deepest}{";|"[level % 2]}a=="y")' if level % 2 else f'({deepest};a[*]!="y"|a=="y")'
    assert found_in_mongo(collection, deepest) in ([], ["urn:x:000"])
    each = ",".join(['"x"', *["2026-03-01T08:00:00Z"] * (query_values.LITERALS_MAX // query.TERMS_MAX - 1)])
    longest = "|".join([f"a=={each}"] * query.TERMS_MAX)
    assert found_in_mongo(collection, longest) == ["urn:x:000"]
    steps = ".".join(["m"] * query.STEPS_MAX)
    assert found_in_mongo(collection, ".".join(["a"] * query.STEPS_MAX) + f"[{steps}]==1") == []


def test_what_mongodb_would_search_for_ages_is_refused_or_answered_soon(collection: Collection[Any]) -> None:
    fill(collection, of_values(*["a" * length + "!" for length in (10, 30, 1000, 100_000)]))
    with pytest.raises(BadRequestData, match="exponential"):
        query.parse('a~="^(a+)+$"', CORE)
    for pattern in ("a*a*a*a*b", "^.*.*.*=.*$", "(a|b)*c"):
        started = time.monotonic()
        assert found_in_mongo(collection, f'a~="{pattern}"') == []
        assert time.monotonic() - started < PATIENCE_S


PATIENCE_S = 10


@pytest.mark.parametrize("text", ["zone{name}", "zone{Zone:name}==1", "!zone{name}", "a==1;zone{b{c}}<3"])
def test_elements_of_linked_entities_are_not_offered(text: str) -> None:
    with pytest.raises(NotSupported, match="linked"):
        mongo_filter.translate(query.parse(text, CORE), NOW)
    with pytest.raises(NotSupported, match="linked"):
        evaluate.compile(query.parse(text, CORE))
