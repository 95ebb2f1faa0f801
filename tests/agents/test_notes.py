"""What one agent changes in the registry, the others learn within a second, without a change stream."""

import asyncio

from agents.storage.base import Change, Identity, Record, Snapshot
from agents.storage.mongo_connection import MongoConnection
from agents.storage.mongo_provisioning import MongoProvisioning
from tests.waiting import until

DEVICE = Identity("city", "/", "key", "d1")
GROUP = Identity("city", "/", "key", "/iot/json")


async def test_changes_by_others_are_told_in_order_and_once(mongo: str) -> None:
    ours, theirs = (MongoProvisioning(MongoConnection(mongo, "notes", 5.0)) for _ in range(2))
    loaded: list[Snapshot] = []
    told: list[Change] = []
    following = asyncio.create_task(ours.follow(loaded.append, told.append))
    try:
        await until(lambda: bool(loaded))
        assert loaded == [Snapshot([], [])]
        first, second = Record(DEVICE, "1"), Record(DEVICE, "2")
        group = Record(GROUP, "g")
        for number, (change, expected) in enumerate(
            [
                (theirs.devices.insert(first), Change("devices", DEVICE, first)),
                (theirs.devices.replace(first, second), Change("devices", DEVICE, second)),
                (theirs.devices.delete(DEVICE), Change("devices", DEVICE, None)),
                (theirs.groups.insert(group), Change("groups", GROUP, group)),
                (theirs.groups.delete(GROUP), Change("groups", Identity("", "", "key", "/iot/json"), None)),
                (theirs.devices.insert_new([first]), Change("devices", DEVICE, first)),
            ]
        ):
            await change
            await until(lambda wanted=number: len(told) > wanted, within_s=3)  # type: ignore[misc]
            assert told[number:] == [expected]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await ours.close()
        await theirs.close()
    assert ours.trouble is None
