"""Conditions on linked entities: by look-ups in MongoDB and in memory the same entities are found (clause 4.9)."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient, MongoClient

from broker.api.linked_query import resolved
from broker.storage.base import EntityQuery, Write
from broker.storage.mongo_entities import MongoEntityStore
from ngsi import evaluate, query
from ngsi.context import CORE
from ngsi.entity import Entity, Instance
from ngsi.query_tree import depth

NOW = "2026-03-01T08:00:00.000Z"
IDS = [f"urn:x:{number}" for number in range(6)]

links = st.one_of(
    st.sampled_from(IDS).map(lambda known: {"type": "Relationship", "object": known}),
    st.lists(st.sampled_from(IDS), min_size=1, max_size=3).map(lambda ids: {"type": "Relationship", "object": ids}),
    st.lists(st.sampled_from(IDS), max_size=3).map(lambda ids: {"type": "ListRelationship", "objectList": ids}),
    st.just({"type": "Property", "value": IDS[0]}),
)
values = st.integers(0, 2).map(lambda value: {"type": "Property", "value": value})


def stamped(instance: dict[str, Any]) -> Instance:
    return {**instance, "createdAt": NOW, "modifiedAt": NOW}


@st.composite
def entities(draw: st.DrawFn) -> list[Entity]:
    made = []
    for known in IDS[: draw(st.integers(2, 5))]:
        attributes: dict[str, list[Instance]] = {}
        for name, content in (("a", values), ("r", links), ("s", links)):
            if draw(st.booleans()):
                attributes[name] = [stamped(draw(content))]
        made.append(Entity(known, [draw(st.sampled_from(["T", "U"]))], NOW, NOW, attributes))
    return made


operators = st.sampled_from(["", "==1", "!=1", ">0", "==0..1"])
targets = st.recursive(
    st.just("a"),
    lambda inner: st.builds("{}{{{}{}}}".format, st.sampled_from("rs"), st.sampled_from(["", "T:", "T,U:"]), inner),
    max_leaves=3,
).filter(lambda target: "{" in target)
terms = st.builds("{}{}".format, targets, operators) | targets.map(lambda target: f"!{target}")
queries = st.lists(terms | st.sampled_from(["a", "a==1", "r"]), min_size=1, max_size=3).flatmap(
    lambda made: st.sampled_from(";|").map(lambda sign: sign.join(made))
)


@pytest.fixture
def database(mongo: str) -> Iterator[str]:
    name = f"linked_{uuid4().hex[:8]}"
    yield name
    with MongoClient[dict[str, Any]](mongo) as client:
        client.drop_database(name)


async def found_in_mongo(mongo: str, database: str, made: list[Entity], text: str) -> list[str]:
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        collection = client[database]["entities"]
        await collection.delete_many({})
        store = MongoEntityStore(collection, None, 5000)
        assert await store.write([Write(entity.id, 0, entity, []) for entity in made]) == {}
        tree = await resolved(query.parse(text, CORE), store, NOW)
        assert depth(tree) == 0
        return await store.find_ids(EntityQuery(NOW, q=tree), limit=100)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=entities(), text=queries)
@pytest.mark.clause("4.9")
def test_both_roads_find_the_same_entities(mongo: str, database: str, made: list[Entity], text: str) -> None:
    known = {entity.id: entity for entity in made}
    holds = evaluate.compile(query.parse(text, CORE), known.get)
    in_memory = [entity.id for entity in made if holds(entity)]
    assert asyncio.run(found_in_mongo(mongo, database, made, text)) == in_memory, text
