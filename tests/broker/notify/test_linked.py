"""Subscriptions that look at linked entities, and requests on many entities: from the stream to the receiver."""

from functools import partial
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from broker.commit import Committer
from broker.storage.mongo_entities import MongoEntityStore
from ngsi import patch
from ngsi.context import CORE
from ngsi.document import read_entity
from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.receiver import Receiver
from tests.broker.notify.writer import Writer, now
from tests.waiting import until

ROOM, HOUSE, CITY = "urn:ngsi-ld:Room:1", "urn:ngsi-ld:House:1", "urn:ngsi-ld:City:1"


@pytest.fixture
async def committer(client: AsyncMongoClient[dict[str, Any]], prefix: str) -> Committer:
    store = MongoEntityStore(client[prefix].entities, None, 5000)
    return Committer(store, now, queue_count=5000, flush_count=300, cache_bytes=1_000_000)


async def upsert(committer: Committer, request: str, *bodies: dict[str, Any]) -> None:
    patches = [(body["id"], partial(patch.upsert, read_entity(body, CORE))) for body in bodies]
    outcomes = await committer.submit_all(patches, request)
    assert all(isinstance(outcome, patch.Patched) for outcome in outcomes)


def room(number: int, **attributes: Any) -> dict[str, Any]:
    return {"id": f"urn:ngsi-ld:Room:{number}", "type": "Room", **attributes}


def linked(uri: str) -> dict[str, Any]:
    return {"type": "Relationship", "object": uri}


def data(receiver: Receiver, subscription: str) -> list[Any]:
    return [item["data"] for item in receiver.received if item["subscriptionId"] == subscription]


@pytest.mark.clause("5.8.6")
async def test_a_request_on_many_entities_gives_one_notification(
    writer: Writer, committer: Committer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:all", receiver.uri, notification={"format": "keyValues"})
    await writer.subscribe("urn:s:some", receiver.uri, q="n>=950", notification={"pick": ["id"]})
    await upsert(committer, "first", *[room(number, n=number) for number in range(1000)])
    # Half of this changes nothing.
    await upsert(committer, "second", *[room(number, n=number + number % 2) for number in range(1000)])
    await upsert(committer, "third", room(1, n=-1))
    await until(lambda: len(receiver.received) == 5)
    assert [len(item) for item in data(receiver, "urn:s:all")] == [1000, 500, 1]
    assert [len(item) for item in data(receiver, "urn:s:some")] == [50, 26]


@pytest.mark.clause("4.9", "5.8.6")
async def test_q_looks_at_linked_entities(
    writer: Writer, committer: Committer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await upsert(committer, "city", {"id": CITY, "type": "City", "size": 5})
    await upsert(committer, "house", {"id": HOUSE, "type": "House", "storeys": 3, "city": linked(CITY)})
    for name, q in {"yes": "house{storeys}==3", "no": "house{storeys}>3", "far": "house{city{size}}<9;n>0"}.items():
        await writer.subscribe(f"urn:s:{name}", receiver.uri, q=q, notification={"format": "keyValues"})
    await upsert(committer, "r1", room(1, n=1, house=linked(HOUSE)))
    await until(lambda: len(receiver.received) == 2)
    # What linked entities are like counts when the event is looked at.
    await upsert(committer, "r2", {"id": HOUSE, "type": "House", "storeys": 4})
    await upsert(committer, "r3", room(1, n=2))
    await until(lambda: len(receiver.received) == 4)
    values = {name: [item[0]["n"] for item in data(receiver, f"urn:s:{name}")] for name in ("yes", "no", "far")}
    assert values == {"yes": [1], "no": [2], "far": [1, 2]}


@pytest.mark.clause("4.5.23", "5.8.6")
async def test_linked_entities_come_along(
    writer: Writer, committer: Committer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await upsert(committer, "city", {"id": CITY, "type": "City", "size": 5})
    await upsert(committer, "house", {"id": HOUSE, "type": "House", "city": linked(CITY)})
    wishes: dict[str, dict[str, Any]] = {
        "inline": {"join": "inline", "joinLevel": 2},
        "flat": {"join": "flat", "joinLevel": 2},
        "braces": {"join": "flat", "pick": ["id", "house{id}"]},
    }
    for name, wish in wishes.items():
        await writer.subscribe(f"urn:s:{name}", receiver.uri, notification={"format": "keyValues", **wish})
    await upsert(committer, "rooms", *[room(number, house=linked(HOUSE)) for number in (1, 2)])
    await until(lambda: len(receiver.received) == 3)
    city = {"id": CITY, "type": "City", "size": 5}
    house = {"id": HOUSE, "type": "House"}
    (inline,), (flat,), (braces,) = (data(receiver, f"urn:s:{name}") for name in wishes)
    assert inline == [room(number, house={**house, "city": city}) for number in (1, 2)]
    assert flat == [room(1, house=HOUSE), room(2, house=HOUSE), {**house, "city": CITY}, city]
    assert [item["id"] for item in braces] == [room(1)["id"], room(2)["id"], HOUSE]
    assert braces[2] == {"id": HOUSE}


@pytest.mark.clause("5.2.15", "6.3.15")
async def test_geojson(
    writer: Writer, committer: Committer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    geojson: dict[str, Any] = {"accept": "application/geo+json"}
    await writer.subscribe("urn:s:body", receiver.uri, endpoint=geojson)
    prefer = {"receiverInfo": [{"key": "Prefer", "value": "body=json"}]}
    await writer.subscribe("urn:s:link", receiver.uri, endpoint=geojson | prefer)
    place = {"type": "Point", "coordinates": [2.5, 48.5]}
    await upsert(committer, "rooms", room(1, location=place), room(2, n=1))
    await until(lambda: len(receiver.received) == 2)
    (body,), (link,) = data(receiver, "urn:s:body"), data(receiver, "urn:s:link")
    assert [item["geometry"] for item in body["features"]] == [place, None]
    assert (body["type"], body["features"][0]["type"], body["features"][0]["properties"]["type"]) == (
        "FeatureCollection",
        "Feature",
        "Room",
    )
    assert body["@context"]
    assert "@context" not in link
    for request, notification in zip(receiver.requests, receiver.received, strict=True):
        assert request.headers["Content-Type"] == "application/geo+json"
        assert ("Link" in request.headers) is (notification["subscriptionId"] == "urn:s:link")


@pytest.mark.clause("5.8.6")
async def test_previous_values_are_known_to_subscriptions_made_after_them(
    writer: Writer, committer: Committer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await upsert(committer, "r1", room(1, n=1))
    await writer.subscribe("urn:s:1", receiver.uri, notification={"showChanges": True, "format": "concise"})
    await upsert(committer, "r2", room(1, n=2))
    await upsert(committer, "r3", room(1, n=2))
    await upsert(committer, "r4", room(1, n=3, m=1))
    await until(lambda: len(receiver.received) == 2)
    assert [item[0] for item in data(receiver, "urn:s:1")] == [
        room(1, n={"value": 2, "previousValue": 1}),
        room(1, n={"value": 3, "previousValue": 2}, m=1),
    ]
