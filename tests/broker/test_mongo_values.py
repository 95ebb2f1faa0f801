"""The index on values finds what the query finds, and spares reading the rest."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection

from broker.storage import mongo_documents, mongo_values
from broker.storage.base import EntityQuery, EntitySelector
from broker.storage.mongo_entities import INDEXES
from broker.storage.mongo_entity_filter import entity_filter
from ngsi import evaluate, expiry, query, selection
from ngsi.context import CORE
from tests.broker import query_cases
from tests.broker.query_cases import NOW, Document

AT = "2026-03-01T08:00:00.000Z"


@pytest.fixture(scope="module")
def collection(mongo: str) -> Iterator[Collection[Any]]:
    with MongoClient[Any](mongo) as client:
        found = client.values_test.entities
        found.create_indexes(INDEXES)
        yield found
        client.drop_database("values_test")


def stored(document: Document, number: int) -> Document:
    """The document as the broker writes it, values listed."""
    document = {"_id": f"urn:x:{number:05}", "rev": 1, **document}
    entity = mongo_documents.entity(document)
    assert entity is not None
    listed = mongo_values.entries(entity)
    return {**document, "values": listed} if listed else document


def wanted(types: str, text: str) -> EntityQuery:
    selector = EntitySelector(types=selection.alternatives(selection.expand(types, CORE)))
    return EntityQuery(now=NOW, selectors=(selector,), q=query.parse(text, CORE))


def of(value: Any, kind: str = "T") -> Document:
    instance = {"type": "Property", "value": value, "createdAt": AT, "modifiedAt": AT}
    return {"type": [kind], "createdAt": AT, "modifiedAt": AT, "attrs": {"a": [instance]}}


@settings(
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(
    documents=st.lists(query_cases.documents(), min_size=1, max_size=6),
    texts=st.lists(query_cases.queries, min_size=4, max_size=8),
    types=st.sampled_from(["T", "U", "T,U", "(T;U)", "(T;U),V"]),
    given_types=st.lists(st.sampled_from([["T"], ["U"], ["T", "U"], ["V"]]), min_size=6, max_size=6),
)
def test_narrowing_loses_nothing(
    collection: Collection[Any], documents: list[Document], texts: list[str], types: str, given_types: list[list[str]]
) -> None:
    kept = [stored({**item, "type": given_types[n]}, n) for n, item in enumerate(documents)]
    collection.delete_many({})
    collection.insert_many(kept)
    alternatives = selection.alternatives(selection.expand(types, CORE))
    for text in texts:
        holds = evaluate.compile(query.parse(text, CORE))
        living = [expiry.living(entity, NOW) for item in kept if (entity := mongo_documents.entity(item)) is not None]
        expected = [
            entity.id
            for entity in living
            if entity is not None and selection.selects(alternatives, entity.types) and holds(entity)
        ]
        found = collection.find(entity_filter(wanted(types, text)), {"_id": 1}).sort("_id")
        assert [item["_id"] for item in found] == expected, text


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ('a=="' + "x" * 150 + '"', [1]),
        ('a>"' + "x" * 149 + '"', [1, 2]),
        ('a<"' + "x" * 150 + '"', [0]),
        ("a==77", [3]),
        ("a>1000", []),
    ],
)
def test_long_texts_and_very_many_values(collection: Collection[Any], text: str, numbers: list[int]) -> None:
    values: list[Any] = ["x" * 120, "x" * 150, "x" * 160, list(range(100))]
    collection.delete_many({})
    collection.insert_many([stored(of(value), number) for number, value in enumerate(values)])
    found = collection.find(entity_filter(wanted("T", text))).sort("_id")
    assert [item["_id"] for item in found] == [f"urn:x:{number:05}" for number in numbers]


@pytest.fixture
def many(collection: Collection[Any]) -> Collection[Any]:
    collection.delete_many({})
    collection.insert_many([stored(of(number, "T" if number % 2 else "U"), number) for number in range(4_000)])
    return collection


EXPLAINED: list[tuple[EntityQuery, int]] = [
    (wanted("T", "a>3979"), 10),
    (wanted("T", "a==5"), 1),
    (wanted("T,U", "a==10..19"), 10),
    (wanted("T", "a==5|a==7"), 2_000),
    (EntityQuery(now=NOW, selectors=(EntitySelector(types=(frozenset({"T"}),)),)), 2_000),
    (EntityQuery(now=NOW, selectors=(EntitySelector(ids=("urn:x:00001", "urn:x:00002")),)), 2),
]


@pytest.mark.parametrize(("wished", "examined"), EXPLAINED)
def test_common_queries_use_an_index(many: Collection[Any], wished: EntityQuery, examined: int) -> None:
    plan = many.find(entity_filter(wished)).sort("_id").limit(5_000).explain()
    statistics = plan["executionStats"]
    # MongoDB looks at a document once for each branch of the narrowing condition and once for the exact filter.
    assert statistics["totalDocsExamined"] <= 2 * examined
    assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"])
