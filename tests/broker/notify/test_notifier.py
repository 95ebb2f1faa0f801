from typing import Any

from pymongo import AsyncMongoClient

from ngsi.changes import Change
from ngsi.vocabulary import CORE_CONTEXT_URL
from tests.broker.notify.conftest import StartNotifier, StartReceiver
from tests.broker.notify.writer import Writer, created, entity, now, updated
from tests.waiting import until

ROOM = "urn:ngsi-ld:Room:1"
OTHER = "urn:ngsi-ld:Room:2"


async def test_every_change_of_one_write_gives_its_own_notification_in_order(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    state, changes = created(entity(ROOM, temperature=0))
    for value in range(1, 6):
        state, change = updated(state, f"r{value}", temperature=value)
        changes.append(change)
    await writer.write((state, changes))
    await until(lambda: len(receiver.received) >= 6)
    assert receiver.values() == {ROOM: [0, 1, 2, 3, 4, 5]}


async def test_a_notification_has_the_members_and_headers_of_the_standard(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    info = [{"key": "X-Pilot", "value": "campus"}]
    await writer.subscribe("urn:s:1", receiver.uri, endpoint={"receiverInfo": info})
    await writer.write((entity(ROOM, temperature=21), [Change("r", now(), "created")]))
    await until(lambda: receiver.received)
    (notification,) = receiver.received
    assert notification["id"].startswith("urn:ngsi-ld:Notification:")
    assert notification["type"] == "Notification"
    assert notification["subscriptionId"] == "urn:s:1"
    assert notification["notifiedAt"].endswith("Z")
    assert notification["data"] == [
        {"id": ROOM, "type": "Room", "temperature": {"type": "Property", "value": 21, "unitCode": "CEL"}}
    ]
    headers = receiver.requests[0].headers
    assert headers["Content-Type"] == "application/json"
    assert headers["Link"] == (
        f'<{CORE_CONTEXT_URL}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    )
    assert headers["X-Pilot"] == "campus"
    assert "NGSILD-Tenant" not in headers


async def test_ld_json_carries_the_context_in_the_notification_and_in_every_entity(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    context = {"warmth": "https://uri.etsi.org/ngsi-ld/default-context/temperature"}
    await writer.subscribe("urn:s:1", receiver.uri, context=context, endpoint={"accept": "application/ld+json"})
    await writer.write((entity(ROOM, temperature=21), [Change("r", now(), "created")]))
    await until(lambda: receiver.received)
    (notification,) = receiver.received
    assert notification["@context"] == context
    assert notification["data"][0]["@context"] == context
    assert notification["data"][0]["warmth"]["value"] == 21
    assert receiver.requests[0].headers["Content-Type"] == "application/ld+json"
    assert "Link" not in receiver.requests[0].headers


async def test_entities_of_one_request_come_in_one_notification(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    first, second = entity(ROOM, temperature=1), entity(OTHER, temperature=2)
    client = writer.entities.database.client
    async with client.start_session() as session, await session.start_transaction():
        await writer.write(
            (first, [Change("batch", now(), "created")]),
            (second, [Change("batch", now(), "created")]),
            session=session,
        )
    await until(lambda: receiver.received)
    assert [item["id"] for item in receiver.received[0]["data"]] == [ROOM, OTHER]


async def test_tenants_are_apart(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    casablanca, settat = Writer(client, prefix, "casablanca"), Writer(client, prefix, "settat")
    await casablanca.subscribe("urn:s:1", receiver.uri)
    await settat.write(created(entity(OTHER, temperature=0)))
    await casablanca.write(created(entity(ROOM, temperature=1)))
    await until(lambda: receiver.received)
    assert receiver.values() == {ROOM: [1]}
    assert receiver.requests[0].headers["NGSILD-Tenant"] == "casablanca"


async def test_unwatched_changes_and_failed_conditions_are_not_told(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, watchedAttributes=["temperature"], q="temperature>20")
    state, _ = await _written(writer, entity(ROOM, temperature=25, humidity=40))
    for request, values in (("a", {"humidity": 41}), ("b", {"temperature": 15}), ("c", {"temperature": 30})):
        state, change = updated(state, request, **values)
        await writer.write((state, [change]))
    await until(lambda: len(receiver.received) >= 2)
    assert receiver.values() == {ROOM: [25, 30]}


async def test_projection_and_format(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri, notification={"attributes": ["humidity"], "format": "keyValues"})
    await writer.subscribe("urn:s:2", receiver.uri, notification={"pick": ["id", "temperature"]})
    await writer.subscribe("urn:s:3", receiver.uri, notification={"omit": ["temperature"], "format": "concise"})
    await writer.write(created(entity(ROOM, temperature=20, humidity=40)))
    await until(lambda: len(receiver.received) == 3)
    shown = {item["subscriptionId"]: item["data"][0] for item in receiver.received}
    assert shown["urn:s:1"] == {"id": ROOM, "type": "Room", "humidity": 40}
    assert shown["urn:s:2"] == {"id": ROOM, "temperature": {"type": "Property", "value": 20, "unitCode": "CEL"}}
    assert shown["urn:s:3"] == {"id": ROOM, "type": "Room", "humidity": {"value": 40, "unitCode": "CEL"}}


async def test_deleted_entities_and_attributes(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:entity", receiver.uri, notificationTrigger=["entityDeleted"])
    await writer.subscribe(
        "urn:s:attribute", receiver.uri, watchedAttributes=["temperature"], notificationTrigger=["attributeDeleted"]
    )
    state, _ = await _written(writer, entity(ROOM, temperature=20, humidity=40))
    lost, change = updated(state, "lose")
    lost.attributes = {"humidity": state.attributes["humidity"]}
    change.attributes = [("deleted", "temperature", "@none")]
    assert change.before is not None
    change.before.attributes = {"temperature": state.attributes["temperature"]}
    await writer.write((lost, [change]))
    await until(lambda: len(receiver.received) == 1)
    assert receiver.received[0]["subscriptionId"] == "urn:s:attribute"
    assert receiver.received[0]["data"] == [
        {
            "id": ROOM,
            "type": "Room",
            "humidity": {"type": "Property", "value": 40, "unitCode": "CEL"},
            "temperature": {"type": "Property", "value": "urn:ngsi-ld:null"},
        }
    ]
    await writer.delete(state)
    await until(lambda: len(receiver.received) == 3)
    shown = {item["subscriptionId"]: item["data"][0] for item in receiver.received[1:]}
    deleted_at = shown["urn:s:entity"].pop("deletedAt")
    assert deleted_at.endswith("Z")
    assert shown["urn:s:entity"] == {"id": ROOM, "type": "Room"}
    assert shown["urn:s:attribute"] == {
        "id": ROOM,
        "type": "Room",
        "deletedAt": deleted_at,
        "temperature": {"type": "Property", "value": "urn:ngsi-ld:null"},
    }


async def test_a_deleted_subscription_is_told_nothing_more(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    ended, kept = await start_receiver(), await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:ended", ended.uri)
    await writer.subscribe("urn:s:kept", kept.uri)
    state, _ = await _written(writer, entity(ROOM, temperature=1))
    await until(lambda: ended.received)
    await writer.subscriptions.delete_one({"_id": "urn:s:ended"})
    state, change = updated(state, "r2", temperature=2)
    await writer.write((state, [change]))
    await until(lambda: kept.values() == {ROOM: [1, 2]})
    assert ended.values() == {ROOM: [1]}


async def test_counters_tell_what_became_of_the_attempts(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver(answer=503)
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    await writer.write(created(entity(ROOM, temperature=1)))
    failed = await _booked(writer, "timesFailed")
    assert failed["state"] == "failed"
    assert failed["consecutiveFailures"] >= 1
    assert failed["nextAttemptAt"]
    assert failed["lastError"].startswith("answer 503")
    assert "lastSuccess" not in failed
    receiver.answer = 200
    healthy = await _booked(writer, "lastSuccess")
    assert healthy["state"] == "ok"
    assert healthy["timesSent"] == healthy["timesFailed"] + 1
    assert not {"consecutiveFailures", "nextAttemptAt", "lastError"} & set(healthy)


async def test_one_document_that_cannot_be_read_does_not_stop_the_others(
    writer: Writer, start_notifier: StartNotifier, start_receiver: StartReceiver
) -> None:
    receiver = await start_receiver()
    await start_notifier()
    await writer.subscribe("urn:s:1", receiver.uri)
    await writer.entities.insert_one({"_id": "urn:x:broken", "type": ["Room"], "changes": "none"})
    await writer.write(created(entity(ROOM, temperature=1)))
    await until(lambda: receiver.received)
    assert receiver.values() == {ROOM: [1]}


async def _written(writer: Writer, state: Any) -> Any:
    made = created(state)
    await writer.write(made)
    return made


async def _booked(writer: Writer, member: str) -> dict[str, Any]:
    counters: dict[str, Any] = {}

    async def is_booked() -> bool:
        counters.clear()
        counters.update(await writer.counters("urn:s:1"))
        return member in counters

    await until(is_booked)
    return counters
