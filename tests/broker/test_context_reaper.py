"""What nobody uses any more does not stay for ever (clause 5.13)."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from broker.context_reaper import ContextReaper
from broker.contexts import id_of
from broker.storage.context_store import ContextRecord, Kind
from broker.storage.mongo import MongoStorage

THEN, LATER = "2026-01-01T00:00:00.000Z", "2026-02-15T00:00:00.000Z"


@pytest.fixture
async def storage(mongo: str) -> AsyncIterator[MongoStorage]:
    made = MongoStorage(mongo, f"ctxreap{uuid4().hex[:8]}", timeout_s=5, query_timeout_s=5)
    await made.create_tenant("", THEN)
    await made.create_tenant("settat", THEN)
    yield made
    await made.close()


def record(number: int, kind: Kind, created_at: str = THEN, text: str = "{}") -> ContextRecord:
    url = f"https://x.example/{number}" if kind == "Cached" else None
    name = f"urn:ngsi-ld:jsonldContext:{number:032x}" if url is None else id_of(url.encode())
    return ContextRecord(name, kind, url, None, text, created_at)


async def fill(storage: MongoStorage) -> None:
    store = storage.contexts()
    for number, kind in enumerate(("Cached", "ImplicitlyCreated", "Hosted", "Cached", "ImplicitlyCreated", "Cached")):
        await store.put(record(number, kind))  # type: ignore[arg-type]  # mypy takes the tuple's items for texts
    await store.count({record(3, "Cached").id: 1}, LATER)
    await store.share(record(4, "ImplicitlyCreated", LATER))


async def kept(storage: MongoStorage) -> list[int]:
    listed = [record async for record in storage.contexts().find("", None)]
    return sorted(int(item.id[-2:], 16) if item.url is None else int(item.url[-1]) for item in listed)


@pytest.mark.clause("5.13")
async def test_what_is_unused_goes_and_the_rest_stays(storage: MongoStorage) -> None:
    await fill(storage)
    assert await ContextReaper(storage, lambda: THEN).reap() == 0
    assert await ContextReaper(storage, lambda: LATER).reap() == 3
    assert await kept(storage) == [2, 3, 4]


@pytest.mark.clause("5.13")
async def test_subscriptions_keep_what_they_name(storage: MongoStorage) -> None:
    await fill(storage)
    own = f"http://broker.example/ngsi-ld/v1/jsonldContexts/{record(1, 'ImplicitlyCreated').id}"
    await storage.subscriptions("").insert({"_id": "urn:x:1", "context": {"a": "b:c"}, "contextUrl": own})
    await storage.subscriptions("settat").insert({"_id": "urn:x:2", "context": ["https://x.example/0"]})
    assert await ContextReaper(storage, lambda: LATER).reap() == 1
    assert await kept(storage) == [0, 1, 2, 3, 4]


@pytest.mark.clause("5.13")
async def test_subscriptions_keep_what_their_contexts_refer_to(storage: MongoStorage) -> None:
    store = storage.contexts()
    await store.put(record(0, "Cached", text=json.dumps([{"@import": "https://x.example/1"}, {"a": "b:c"}])))
    await store.put(record(1, "Cached", text=json.dumps(["https://x.example/2", "https://x.example/0"])))
    for number in (2, 3, 4):
        await store.put(record(number, "Cached"))
    await storage.subscriptions("").insert({"_id": "urn:x:1", "context": [{"@import": "https://x.example/0"}]})
    await storage.subscriptions("settat").insert({"_id": "urn:x:2", "context": {"@import": "https://x.example/3"}})
    assert await ContextReaper(storage, lambda: LATER).reap() == 1
    assert await kept(storage) == [0, 1, 2, 3]


async def test_subscriptions_name_more_than_fits_a_document(storage: MongoStorage) -> None:
    for number in range(2):
        context = [f"https://x.example/{number}", {"a": f"b:{number}{'c' * 9_000_000}"}]
        await storage.subscriptions("").insert({"_id": f"urn:x:{number}", "context": context})
    assert await storage.contexts_named("") == {"https://x.example/0", "https://x.example/1"}


async def test_their_number_is_bounded(storage: MongoStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.context_reaper.COUNT_MAX", 2)
    await fill(storage)
    assert await ContextReaper(storage, lambda: THEN).reap() == 3
    assert await kept(storage) == [2, 3, 4]
