"""A subscriber is told of an entity exactly when a query with the same filter finds it: memory against MongoDB."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from broker.api.linked_query import resolved
from broker.contexts import Contexts
from broker.notify.linking import Linking
from broker.notify.matcher import Matcher
from broker.notify.settings import DeliverySettings
from broker.notify.state import State
from broker.notify.subscriber import Subscriber, subscriber
from broker.storage import mongo_documents
from broker.storage.base import EntityQuery, EntitySelector, Write
from broker.storage.mongo_entities import MongoEntityStore
from broker.storage.mongo_linked import MongoLinked
from ngsi import geo_query, scope_query, selection, subscription
from ngsi.changes import Change
from ngsi.context import CORE
from ngsi.entity import Entity
from ngsi.subscription_filters import condition
from ngsi.vocabulary import CORE_CONTEXT_URL
from tests.broker import query_cases, test_linked_query
from tests.broker.query_cases import NOW, Document
from tests.broker.test_mongo_search import scope_queries, scopes
from tests.ngsi import geo_strategies

Collection = AsyncCollection[dict[str, Any]]

BEFORE = "2026-01-01T00:00:00.000Z"
TYPES = ["T", "U", "V"]
IDS = [f"urn:x:{number:03}" for number in range(6)]

unhurried = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """An entity as it lies in MongoDB, with types, scopes and perhaps a place."""
    document = draw(query_cases.documents())
    document["type"] = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True))
    document["scope"] = draw(st.lists(scopes, max_size=2))
    if draw(st.booleans()):
        place = {"type": "GeoProperty", "value": draw(geo_strategies.geometries), "createdAt": NOW, "modifiedAt": NOW}
        document["attrs"] = {**document["attrs"], "ngsi-ld:location": [place]}
    return document


_types = st.sampled_from(["T", "U", "T|U", "(T;U)", "(T;U),V", "*"])
_selectors = st.one_of(
    st.builds(lambda types: {"type": types}, _types),
    st.builds(lambda types, ids: {"type": types, "id": ids}, _types, st.lists(st.sampled_from(IDS), min_size=1)),
    st.builds(
        lambda types, pattern: {"type": types, "idPattern": pattern},
        _types,
        st.sampled_from(["^urn:x:00[0-2]$", "^urn:x:", "3", "^urn:x:00(1|4)", "[^0-3]$"]),
    ),
)
filters = st.fixed_dictionaries(
    {"entities": st.lists(_selectors, min_size=1, max_size=2)},
    optional={
        "q": query_cases.queries,
        "geoQ": geo_strategies.geo_queries(),
        "scopeQ": scope_queries,
        "expandValues": st.just("a"),
    },
)


def subscribed(filtering: dict[str, Any]) -> Subscriber:
    body = {
        "type": "Subscription",
        "notificationTrigger": ["entityCreated"],  # also of entities without attributes
        "notification": {"endpoint": {"uri": "http://127.0.0.1:1/"}},
        **filtering,
    }
    document = subscription.parse(body, CORE, BEFORE).document("urn:s:1", CORE_CONTEXT_URL, BEFORE)
    made = subscriber("", document, Contexts({}), DeliverySettings(), None)
    assert made is not None
    return made


def asked(filtering: dict[str, Any]) -> EntityQuery:
    """The query of the API with the same filter."""
    chosen = tuple(
        EntitySelector(
            selection.alternatives(selection.expand(item["type"], CORE)),
            tuple(item["id"]) if "id" in item else None,
            item.get("idPattern"),
        )
        for item in filtering["entities"]
    )
    geo = geo_query.parse(filtering["geoQ"], CORE) if "geoQ" in filtering else None
    scope = scope_query.parse(filtering["scopeQ"]) if "scopeQ" in filtering else None
    return EntityQuery(NOW, chosen, None, condition(filtering, CORE), geo, scope)


def matched(told: Subscriber, entities: Sequence[Entity]) -> list[str]:
    matcher = Matcher()
    matcher.put(told.criteria)
    return [entity.id for entity in entities if matcher.match("", entity, Change("r", NOW, "created"))]


@pytest.fixture(scope="module")
async def collection(mongo: str) -> AsyncIterator[Collection]:
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        name = f"agree{uuid4().hex[:8]}"
        yield client[name].entities
        await client.drop_database(name)


async def fill(collection: Collection, entities: Sequence[Entity]) -> list[Document]:
    stored = [mongo_documents.document(Write(entity.id, 0, entity, []), datetime.now(UTC)) for entity in entities]
    await collection.delete_many({})
    await collection.insert_many(stored)
    return stored


@pytest.mark.clause("5.8.6")
@settings(unhurried, max_examples=100)
@given(st.lists(documents(), min_size=3, max_size=6), st.lists(filters, min_size=4, max_size=8))
async def test_an_entity_is_told_exactly_when_a_query_finds_it(
    collection: Collection, made: list[Document], filterings: list[dict[str, Any]]
) -> None:
    named = [mongo_documents.entity({"_id": known, **document}) for known, document in zip(IDS, made, strict=False)]
    stored = await fill(collection, [entity for entity in named if entity is not None])
    # A change shows what is left when what has expired is gone.
    living = [entity for item in stored if (entity := mongo_documents.living({**item, "due": ""}, NOW)) is not None]
    store = MongoEntityStore(collection, None, 10_000)
    for filtering in filterings:
        found = await store.find_ids(asked(filtering), limit=100)
        assert matched(subscribed(filtering), living) == found, filtering


@pytest.mark.clause("4.9", "5.8.6")
@settings(unhurried, max_examples=60)
@given(test_linked_query.entities(), st.lists(test_linked_query.queries, min_size=2, max_size=5))
async def test_conditions_on_linked_entities_hold_when_a_query_finds_the_entity(
    collection: Collection, entities: list[Entity], texts: list[str]
) -> None:
    await fill(collection, entities)
    store = MongoEntityStore(collection, None, 10_000)
    linked = MongoLinked(collection.database.client, collection.database.name, lambda: NOW)
    for text in texts:
        filtering = {"entities": [{"type": "*"}], "q": text}
        q = condition(filtering, CORE)
        assert q is not None
        found = await store.find_ids(EntityQuery(NOW, q=await resolved(q, store, NOW)), limit=100)
        assert await told_with_links(subscribed(filtering), entities, linked) == found, text


async def told_with_links(told: Subscriber, entities: Sequence[Entity], linked: MongoLinked) -> list[str]:
    matcher, linking = Matcher(), Linking(linked.read)
    matcher.put(told.criteria)
    direct = []
    for entity in entities:
        change = Change("r", NOW, "created")
        if matcher.match("", entity, change):
            if told.looks_further:
                linking.add(told, State(entity, change, ""))
            else:
                direct.append(entity.id)
    return direct + [state.entity.id for _, state in await linking.settled()]
