"""Geo-queries, scope queries and orders by two roads: MongoDB and memory find the same entities, in the same order."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from broker.storage import mongo_documents, mongo_geo, mongo_search
from broker.storage.base import EntityQuery, Write
from broker.storage.mongo_entities import INDEXES
from ngsi import geo_query, ordering, scope_query
from ngsi.context import CORE
from ngsi.entity import Entity
from ngsi.errors import TooComplexQuery
from tests.ngsi import geo_strategies, strategies

AT = "2026-03-01T08:00:00.000Z"
Collection = AsyncCollection[dict[str, Any]]

unhurried = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
async def collection(mongo: str) -> AsyncIterator[Collection]:
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        found = client.search_test.entities
        await found.create_indexes(INDEXES)
        yield found
        await client.drop_database("search_test")


async def fill(collection: Collection, entities: list[Entity], due: str | None = None) -> None:
    await collection.delete_many({})
    now = datetime.now(UTC)
    await collection.insert_many(
        [mongo_documents.document(Write(entity.id, 0, entity, [], due), now) for entity in entities]
    )


async def found(collection: Collection, query: EntityQuery, *, offset: int = 0, limit: int = 1000) -> list[str]:
    page = mongo_search.find(collection, query, offset=offset, limit=limit, timeout_ms=10_000)
    return [entity.id async for entity in page]


def entity(number: int, attributes: dict[str, Any] | None = None, scopes: list[str] | None = None) -> Entity:
    return Entity(f"urn:x:{number:03}", ["T"], AT, AT, attributes or {}, scopes or [])


def located(number: int, key: str, values: list[dict[str, Any]]) -> Entity:
    instances = [
        {"type": "GeoProperty", "value": value, "createdAt": AT, "modifiedAt": AT}
        | ({"datasetId": f"urn:x:{index}"} if index else {})
        for index, value in enumerate(values)
    ]
    return entity(number, {key: instances} if instances else {})


keys = st.sampled_from(["ngsi-ld:location", "ngsi-ld:location", "ngsi-ld:observationSpace", "place"])


@pytest.mark.clause("4.10")
@settings(unhurried, max_examples=120)
@given(
    places=st.lists(st.tuples(keys, st.lists(geo_strategies.geometries, max_size=2)), min_size=4, max_size=12),
    queries=st.lists(geo_strategies.geo_queries(), min_size=4, max_size=10),
)
async def test_geo_queries(
    collection: Collection, places: list[tuple[str, list[dict[str, Any]]]], queries: list[dict[str, Any]]
) -> None:
    entities = [located(number, key, values) for number, (key, values) in enumerate(places)]
    await fill(collection, entities)
    for members in queries:
        geo = geo_query.parse(members, CORE)
        assert geo is not None
        expected = [item.id for item in entities if geo_query.compile(geo)(item)]
        query = EntityQuery(AT, geo=geo)
        assert await found(collection, query) == expected, members
        assert await found(collection, query, offset=1, limit=2) == expected[1:3]
        assert await mongo_search.count(collection, query, timeout_ms=10_000) == len(expected), members
        assert (
            await mongo_search.find_ids(collection, query, after="urn:x:001", limit=3, timeout_ms=10_000)
            == [name for name in expected if name > "urn:x:001"][:3]
        )


levels = st.sampled_from(["A", "B", "C1", "é_"])
scopes = st.builds(
    lambda slash, path: slash + "/".join(path), st.sampled_from(["", "/"]), st.lists(levels, min_size=1, max_size=3)
)
scope_patterns = st.just("/#") | st.builds(
    lambda path, end: "/" + "/".join(path) + end,
    st.lists(levels | st.just("+"), min_size=1, max_size=3),
    st.sampled_from(["", "/#"]),
)
scope_queries = st.lists(
    st.lists(scope_patterns, min_size=1, max_size=2).map(lambda patterns: f"({';'.join(patterns)})"),
    min_size=1,
    max_size=2,
).map("|".join)


@pytest.mark.clause("4.19")
@settings(unhurried, max_examples=60)
@given(
    held=st.lists(st.lists(scopes, max_size=3), min_size=5, max_size=20),
    texts=st.lists(scope_queries, min_size=5, max_size=10),
)
async def test_scope_queries(collection: Collection, held: list[list[str]], texts: list[str]) -> None:
    entities = [entity(number, scopes=list(dict.fromkeys(paths))) for number, paths in enumerate(held)]
    await fill(collection, entities)
    for text in texts:
        query = scope_query.parse(text)
        expected = [item.id for item in entities if scope_query.compile(query)(item)]
        assert await found(collection, EntityQuery(AT, scopes=query)) == expected, text


moments = st.sampled_from(
    [
        *("2026-03-01T08:00:00Z", "2026-03-01T08:00:00,50Z", "2026-03-01T08:00:00.5Z", "2026-03-01T08:00:00.49Z"),
        *("2026-03-01", "2026-02-28", "08:00:00Z", "08:00:00.100Z", "no moment"),
    ]
)
values = (
    st.one_of(
        st.integers(-3, 3),
        st.sampled_from([1.0, 0.5, -0.0, 1e300, 2**62]),
        st.text("aáBb\U0001f600", max_size=3),
        st.booleans(),
        st.lists(st.integers(0, 5), max_size=2),
        moments,
        st.builds(
            lambda kind, text: {"@type": kind, "@value": text},
            st.sampled_from(["DateTime", "Date", "Time", "https://uri.etsi.org/ngsi-ld/DateTime"]),
            moments | st.just(5),
        ),
        st.dictionaries(st.sampled_from(["c", "$d", "e.f"]), st.integers(0, 2) | st.none(), max_size=2),
    )
    | strategies.json_values
).filter(lambda value: value is not None)
instances = st.builds(
    lambda value, members: {"type": "Property", "value": value, "createdAt": AT, "modifiedAt": AT} | members,
    values,
    st.fixed_dictionaries(
        {}, optional={"observedAt": moments.filter(lambda text: "T" in text), "unitCode": st.just("C")}
    ),
)
members = st.sampled_from(
    ["a", "a", "b", "a.s", "a[c]", "a[$d]", "a[c.c]", "a.observedAt", "a.unitCode", "id", "scope", "type", "createdAt"]
)
directions = st.sampled_from(["", ";asc", ";desc"])
orders = st.lists(st.builds("".join, st.tuples(members, directions)), min_size=1, max_size=3).map(",".join)


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key in draw(st.lists(st.sampled_from("ab"), unique=True)):
        first = draw(instances)
        if draw(st.booleans()):
            first["attrs"] = {"s": [draw(instances)]}
        second = draw(instances) | {"datasetId": "urn:x:2"}
        made[key] = draw(st.sampled_from([[first], [second, first], [second]]))
    return made


@pytest.mark.clause("4.23")
@settings(unhurried, max_examples=150)
@given(
    held=st.lists(attributes(), min_size=5, max_size=15),
    order_bys=st.lists(orders, min_size=4, max_size=8),
)
async def test_orders(collection: Collection, held: list[dict[str, Any]], order_bys: list[str]) -> None:
    entities = [entity(number, made, [["/A"], ["/B", "/C"], []][number % 3]) for number, made in enumerate(held)]
    await fill(collection, entities)
    for text in order_bys:
        order = ordering.parse(text, CORE, collation=None, origin=None, geometry=None)
        expected = ordering.in_order([(item.id, order.keys(item)) for item in entities], order)
        assert await found(collection, EntityQuery(AT, order=order)) == expected, text
        assert await found(collection, EntityQuery(AT, order=order), offset=2, limit=3) == expected[2:5], text


@pytest.mark.clause("4.23")
@settings(unhurried, max_examples=30)
@given(places=st.lists(st.lists(geo_strategies.geometries, max_size=1), min_size=4, max_size=10))
async def test_distances(collection: Collection, places: list[list[dict[str, Any]]]) -> None:
    entities = [located(number, "ngsi-ld:location", values) for number, values in enumerate(places)]
    await fill(collection, entities)
    for text in ("location;dist-asc", "location;dist-desc,id;desc"):
        order = ordering.parse(text, CORE, collation=None, origin="[11.1,52.3]", geometry=None)
        expected = ordering.in_order([(item.id, order.keys(item)) for item in entities], order)
        assert await found(collection, EntityQuery(AT, order=order)) == expected, text


@pytest.mark.clause("4.23")
async def test_collations(collection: Collection) -> None:
    words = ["Zebra", "Ähre", "ahre", "10", "9", "Ahre", "$x", "Äpfel", "Afrika"]
    entities = [
        entity(number, {"a": [{"type": "Property", "value": word, "createdAt": AT, "modifiedAt": AT}]})
        for number, word in enumerate(words)
    ]
    await fill(collection, entities)

    async def sorted_by(tag: str) -> list[str]:
        order = ordering.parse("a", CORE, collation=tag, origin=None, geometry=None)
        return [words[int(name[-3:])] for name in await found(collection, EntityQuery(AT, order=order))]

    assert await sorted_by("und") == ["$x", "10", "9", "Afrika", "ahre", "Ahre", "Ähre", "Äpfel", "Zebra"]
    assert await sorted_by("de-u-co-phonebk") == ["$x", "10", "9", "Ähre", "Äpfel", "Afrika", "ahre", "Ahre", "Zebra"]
    assert await sorted_by("sv-SE-u-kn-true") == ["$x", "9", "10", "Afrika", "ahre", "Ahre", "Zebra", "Ähre", "Äpfel"]
    assert await sorted_by("de-u-ks-level1") == ["$x", "10", "9", "Afrika", "Ähre", "ahre", "Ahre", "Äpfel", "Zebra"]


def test_the_index_takes_any_geometry() -> None:
    for coordinates in ([500, 0], [1e308, -1e308], [-180, -90], [180, 90], [0, 0]):
        found = located(0, "k", [{"type": "Point", "coordinates": coordinates}])
        assert len(mongo_geo.cells(found.attributes)) == 1
    assert mongo_geo.cells(entity(0).attributes) == []


@pytest.mark.clause("4.10")
async def test_a_geo_query_reads_the_index_around_it_and_little_else(collection: Collection) -> None:
    entities = [
        located(number, "ngsi-ld:location", [{"type": "Point", "coordinates": [x / 10, y / 10]}])
        for number, (x, y) in enumerate(itertools.product(range(40), range(25)))
    ]
    await fill(collection, entities)
    near = {"georel": "near;maxDistance==20000", "geometry": "Point", "coordinates": [2, 1]}
    geo = geo_query.parse(near, CORE)
    assert geo is not None
    plan = await collection.find(mongo_geo.geo_filter(geo, AT).candidates).explain()
    assert plan["executionStats"]["totalDocsExamined"] <= 30
    assert len(await found(collection, EntityQuery(AT, geo=geo))) == 9


async def test_what_would_be_compared_without_end_is_refused(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(collection, [located(n, "k", [{"type": "Point", "coordinates": [0, 0]}]) for n in range(20)])
    monkeypatch.setattr(mongo_search, "COMPARED_MAX", 10)
    geo = geo_query.parse({"georel": "disjoint", "geometry": "Point", "coordinates": [5, 5], "geoproperty": "k"}, CORE)
    with pytest.raises(TooComplexQuery, match="one by one"):
        await found(collection, EntityQuery(AT, geo=geo))
    assert await mongo_search.count(collection, EntityQuery(AT, geo=geo), timeout_ms=10_000) == 20


@pytest.mark.clause("4.22")
@pytest.mark.parametrize("georel", ["within", "disjoint", "near;maxDistance==9000", "near;minDistance==9000"])
async def test_what_has_expired_is_nowhere(collection: Collection, georel: str) -> None:
    entities = [located(number, "ngsi-ld:location", [point]) for number, point in enumerate([INSIDE, OUTSIDE] * 2)]
    for transient in entities[2:]:
        transient.attributes["ngsi-ld:location"][0]["expiresAt"] = AT
    await fill(collection, entities, due=AT)
    members = {"georel": georel, "geometry": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]}
    geo = geo_query.parse(members, CORE)
    assert geo is not None
    query = EntityQuery(AT, geo=geo)
    expected = ["urn:x:000"] if georel in ("within", "near;maxDistance==9000") else ["urn:x:001"]
    assert await found(collection, query) == expected
    assert await mongo_search.count(collection, query, timeout_ms=10_000) == 1
    assert await mongo_search.find_ids(collection, query, after="", limit=9, timeout_ms=10_000) == expected


INSIDE = {"type": "Point", "coordinates": [5, 5]}
OUTSIDE = {"type": "Point", "coordinates": [50, 5]}
