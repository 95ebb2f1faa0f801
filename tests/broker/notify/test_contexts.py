"""Subscriptions whose @contexts lie in the store: the notifier brings them, waits for them, and keeps up with them."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from pymongo import AsyncMongoClient

from broker.contexts import id_of
from broker.storage.context_store import ContextRecord, Kind
from broker.storage.mongo_contexts import MongoContextStore
from ngsi.changes import Change
from ngsi.vocabulary import DEFAULT_CONTEXT
from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.writer import Writer, entity, now
from tests.waiting import until

URL = "https://city.invalid/c.jsonld"
ROOM = "urn:ngsi-ld:Room:1"

StoreContext = Callable[..., Awaitable[str]]


@pytest.fixture
def store_context(client: AsyncMongoClient[dict[str, Any]], prefix: str) -> StoreContext:
    """Stores an @context that calls the temperature as told, expired a second ago; its path on the broker."""
    store = MongoContextStore(client, prefix)

    async def put(name: str, kind: Kind = "Cached", at: str = "2020-01-01T00:00:00.000Z") -> str:
        text = orjson.dumps({name: f"{DEFAULT_CONTEXT}temperature"}).decode()
        url = URL if kind == "Cached" else None
        tenants = None if kind == "Cached" else ("",)
        record = ContextRecord(id_of(URL.encode()), kind, url, tenants, text, now(), at if url else None)
        await store.put(record)
        return f"/ngsi-ld/v1/jsonldContexts/{record.id}"

    return put


async def names(writer: Writer, received: list[dict[str, Any]]) -> set[str]:
    """How the next notification calls the attributes."""
    received.clear()
    await writer.write((entity(ROOM, temperature=21), [Change("r", now(), "created")]))
    await until(lambda: received)
    return set(received[0]["data"][0]) - {"id", "type"}


@pytest.mark.parametrize("kind", ["Cached", "Hosted"])
@pytest.mark.clause("5.8.6")
async def test_a_stored_context_is_used_even_when_it_has_expired(
    kind: Kind,
    writer: Writer,
    start_notifier: StartNotifier,
    start_receiver: StartReceiver,
    store_context: StoreContext,
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    path = await store_context("degrees", kind)
    await writer.subscribe("urn:s:1", receiver.uri, context=URL if kind == "Cached" else path)
    assert await names(writer, receiver.received) == {"degrees"}


@pytest.mark.clause("5.8.6")
async def test_an_array_of_contexts_goes_by_the_address_that_the_broker_gave_it(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver, store_context: StoreContext
) -> None:
    receiver = await start_receiver()
    await store_context("degrees")
    await writer.subscribe("urn:s:1", receiver.uri, context=[URL, {"other": "https://other.example/"}])
    address = "https://city.example/ngsi-ld/v1/jsonldContexts/urn:ngsi-ld:jsonldContext:1"
    await writer.subscriptions.update_one({"_id": "urn:s:1"}, {"$set": {"contextUrl": address}})
    await start_notifier()
    assert await names(writer, receiver.received) == {"degrees"}
    assert receiver.requests[0].headers["Link"].startswith(f"<{address}>;")


async def test_a_subscription_waits_for_its_context(
    writer: Writer,
    start_notifier: StartNotifier,
    start_receiver: StartReceiver,
    store_context: StoreContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broker.contexts._FAILURE_S", 0.1)
    monkeypatch.setattr("broker.notify.notifier._CONTEXTS_AGAIN_S", 0.2)
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, context=URL)
    await writer.subscribe("urn:s:2", receiver.uri)
    assert await names(writer, receiver.received) == {"temperature"}
    await store_context("degrees")

    async def is_served() -> bool:
        await names(writer, receiver.received)
        return any(item["subscriptionId"] == "urn:s:1" for item in receiver.received)

    await until(is_served)


async def test_a_context_loaded_anew_reaches_the_subscriptions(
    writer: Writer,
    start_notifier: StartNotifier,
    start_receiver: StartReceiver,
    store_context: StoreContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broker.context_supply._CHECK_EVERY_S", 0.1)
    monkeypatch.setattr("broker.notify.notifier._CONTEXTS_AGAIN_S", 0.1)
    receiver = await start_receiver()
    await store_context("degrees")
    await writer.subscribe("urn:s:1", receiver.uri, context=URL)
    await start_notifier()
    assert await names(writer, receiver.received) == {"degrees"}
    await store_context("celsius", at="2020-01-02T00:00:00.000Z")

    async def is_renamed() -> bool:
        return await names(writer, receiver.received) == {"celsius"}

    await until(is_renamed)
