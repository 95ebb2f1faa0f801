"""The change stream as the log: nothing missed, order kept, breaks and gaps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient

from broker.storage.mongo_feed import Event, MongoFeed, Position
from broker.storage.mongo_tenants import TenantRegister
from tests.broker.notify.writer import Writer, created, entity, now


@asynccontextmanager
async def opened(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, after: Position | None = None
) -> AsyncIterator[MongoFeed]:
    feed = MongoFeed(client, prefix)
    await feed.open(after)
    yield feed
    await feed.close()


async def events(feed: MongoFeed, count: int) -> list[Event]:
    found: list[Event] = []
    async for batch in feed.batches():
        found += batch.events
        if len(found) >= count and batch.caught_up:
            break
    return found


def room(number: int) -> str:
    return f"urn:r:{number}"


async def write_rooms(writer: Writer, first: int, count: int) -> None:
    await writer.write(*(created(entity(room(number), temperature=number)) for number in range(first, first + count)))


async def test_what_is_written_after_a_present_position_is_read_from_there(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, writer: Writer
) -> None:
    await write_rooms(writer, 0, 3)
    present = await MongoFeed(client, prefix).present()
    await write_rooms(writer, 3, 3)
    async with opened(client, prefix, present) as feed:
        assert [event.id for event in await events(feed, 3)] == [room(3), room(4), room(5)]


async def test_the_position_of_a_batch_is_where_the_next_feed_goes_on(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, writer: Writer
) -> None:
    async with opened(client, prefix) as feed:
        await write_rooms(writer, 0, 3)
        async for batch in feed.batches():
            if batch.events:
                break
    read = {event.id for event in batch.events}
    assert all(event.token <= batch.position["_data"] for event in batch.events)
    async with opened(client, prefix, batch.position) as feed:
        await write_rooms(writer, 3, 1)
        assert [event.id for event in await events(feed, 4 - len(read))] == sorted(
            {room(number) for number in range(4)} - read
        )


async def test_thousands_of_events_come_in_order_with_growing_sequences(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, writer: Writer
) -> None:
    async with opened(client, prefix) as feed:
        for first in range(0, 3000, 300):
            await write_rooms(writer, first, 300)
        found = await events(feed, 3000)
    assert sorted(event.id for event in found) == sorted(room(number) for number in range(3000))
    sequences = [event.sequence for event in found]
    assert sequences == sorted(sequences)
    assert len(set(sequences)) == 3000


async def test_an_update_of_a_subscription_comes_with_the_document_it_left(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, writer: Writer
) -> None:
    await writer.subscribe("urn:s:1", "http://127.0.0.1:1/")
    async with opened(client, prefix) as feed:
        await writer.subscriptions.update_one({"_id": "urn:s:1"}, {"$set": {"delivery.state": "ok"}})
        await writer.change("urn:s:1", description="new", q="a>1")
        await write_rooms(writer, 0, 1)
        await writer.change("urn:s:1", q=None)
        found = await events(feed, 3)
    assert [(event.collection, event.operation) for event in found] == [
        ("subscriptions", "update"),
        ("entities", "insert"),
        ("subscriptions", "update"),
    ]
    first, last = found[0].document, found[2].document
    assert first is not None
    assert last is not None
    assert (first["subscription"]["description"], first["subscription"]["q"]) == ("new", "a>1")
    assert (last["subscription"]["description"], "q" in last["subscription"]) == ("new", False)
    assert first["modifiedAt"] < last["modifiedAt"]
    assert first["delivery"] == last["delivery"] == {"state": "ok"}


async def test_counters_of_subscriptions_and_other_databases_stay_out(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, writer: Writer
) -> None:
    async with opened(client, prefix) as feed:
        await write_rooms(Writer(client, f"{prefix}x"), 0, 1)
        await writer.subscribe("urn:s:1", "http://127.0.0.1:1/")
        await writer.subscriptions.update_one({"_id": "urn:s:1"}, {"$inc": {"delivery.timesSent": 1}})
        await writer.deliveries.insert_one({"_id": "urn:d"})
        await writer.subscriptions.delete_one({"_id": "urn:s:1"})
        await write_rooms(Writer(client, prefix, "settat"), 0, 1)
        await write_rooms(Writer(client, prefix, "urn:city:Settat"), 0, 1)
        found = await events(feed, 4)
    assert [(event.tenant, event.collection, event.operation) for event in found] == [
        ("", "subscriptions", "insert"),
        ("", "subscriptions", "delete"),
        ("settat", "entities", "insert"),
        ("urn:city:Settat", "entities", "insert"),
    ]


async def test_a_tenant_that_is_deleted_ends_its_subscriptions(
    client: AsyncMongoClient[dict[str, Any]], prefix: str
) -> None:
    register = TenantRegister(client, prefix)
    async with opened(client, prefix) as feed:
        await register.enter("Away", now())
        writer = Writer(client, prefix, "Away")
        for name in ("urn:s:1", "urn:s:2"):
            await writer.subscribe(name, "http://127.0.0.1:1/")
        assert await register.mark_leaving("Away")
        await register.remove("Away")
        found = await events(feed, 4)
    assert {(event.tenant, event.id) for event in found if event.operation == "delete"} == {
        ("Away", "urn:s:1"),
        ("Away", "urn:s:2"),
    }


async def test_a_broken_cursor_is_replaced_without_gap_or_repetition(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, writer: Writer
) -> None:
    async with opened(client, prefix) as feed:
        await write_rooms(writer, 0, 2)
        first = await events(feed, 2)
        cursors = await client.admin.aggregate([{"$currentOp": {"idleCursors": True, "localOps": True}}])
        ids = [item["cursor"]["cursorId"] async for item in cursors if "cursor" in item]
        await client.admin.command({"killCursors": "$cmd.aggregate", "cursors": ids})
        await write_rooms(writer, 2, 2)
        second = await events(feed, 2)
    assert [event.id for event in first + second] == [room(number) for number in range(4)]


async def test_a_position_that_is_of_no_use_is_a_gap_that_is_counted(
    client: AsyncMongoClient[dict[str, Any]], prefix: str, writer: Writer
) -> None:
    # A log that no longer reaches back (ChangeStreamHistoryLost) takes a gigabyte of writes; this takes the same way.
    async with opened(client, prefix, {"_data": "00"}) as feed:
        assert feed.lost_count == 1
        await write_rooms(writer, 0, 1)
        assert [event.id for event in await events(feed, 1)] == [room(0)]
