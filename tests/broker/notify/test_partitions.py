"""Who serves what: fair shares that all notifiers agree on, whatever the register looks like."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient

from broker.notify.lease import Lease
from broker.notify.partitions import PARTITION_COUNT, Share, moves, partition
from broker.notify.service import running_notifier
from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from broker.storage.mongo_shares import MongoShares, Owned, Roll
from tests.broker.notify.conftest import StartReceiver
from tests.broker.notify.writer import Writer, created, entity, updated
from tests.waiting import until

NAMES = [f"n{number}" for number in range(20)]
START = {"_data": "10"}

rolls = st.builds(
    lambda members, holders: Roll(sorted(members), [], [Owned(holder, START) for holder in holders]),
    st.sets(st.sampled_from(NAMES), min_size=1),
    st.lists(st.sampled_from([None, *NAMES]), min_size=PARTITION_COUNT, max_size=PARTITION_COUNT),
)


@given(rolls)
def test_what_all_take_and_give_makes_fair_shares_without_a_conflict(roll: Roll) -> None:
    for _ in range(2):  # what is given in the first round is taken in the second
        plans = {name: moves(roll, name, roll.members) for name in roll.members}
        taken = [number for plan in plans.values() for number in plan.take]
        assert len(taken) == len(set(taken))
        for name, plan in plans.items():
            for number in plan.give:
                assert roll.partitions[number].holder == name
                roll.partitions[number].holder = None
            for number, former in plan.take.items():
                assert roll.partitions[number].holder == former
                assert former not in roll.members
                roll.partitions[number].holder = name
    counts = [len(roll.held_by(name)) for name in roll.members]
    assert sum(counts) == PARTITION_COUNT
    assert max(counts) - min(counts) <= 1
    assert not any(moves(roll, name, roll.members) for name in roll.members)


def test_who_joins_takes_no_more_from_the_others_than_its_share() -> None:
    roll = Roll(["a", "b", "c"], [], [Owned("a" if number < 8 else "b", START) for number in range(PARTITION_COUNT)])
    given_up = sum(len(moves(roll, name, roll.members).give) for name in roll.members)
    assert given_up == 5


@given(st.text(), st.text())
def test_every_subscription_has_one_partition(tenant: str, subscription: str) -> None:
    assert 0 <= partition(tenant, subscription) < PARTITION_COUNT


def test_partitions_stay_what_they_are() -> None:
    assert [partition("", "urn:s:1"), partition("", "urn:s:2"), partition("rabat", "urn:s:1")] == [10, 0, 7]


def test_a_share_starts_at_its_least_position_and_passes_over_what_a_partition_has_had() -> None:
    early, late = partition("", "urn:s:1"), partition("", "urn:s:2")
    share = Share({early: {"_data": "10"}, late: {"_data": "30"}}, Lease())
    assert share.start == {"_data": "10"}
    assert share.is_news("", "urn:s:1", "20")
    assert not share.is_news("", "urn:s:2", "30")
    assert share.is_uneven("30")
    assert not share.is_uneven("31")
    assert share.advanced({"_data": "20"}) == {early: {"_data": "20"}, late: {"_data": "30"}}


async def test_a_partition_is_taken_only_from_a_holder_whose_lease_has_run_out(
    client: AsyncMongoClient[dict[str, Any]], prefix: str
) -> None:
    shares = await _founded(client, prefix)
    await shares.beat("a", 60)
    await shares.beat("b", 60)
    assert await shares.take("a", {0: None, 1: None}, ())
    assert not await shares.take("b", {1: "a"}, ())
    assert not await shares.take("b", {1: None}, ())
    assert await shares.take("b", {1: "a"}, {"a"})
    await shares.beat("a", -1)
    assert await shares.take("b", {0: "a"}, ())
    roll = await shares.beat("b", 60)
    assert (roll.members, roll.expired) == (["b"], ["a"])
    assert set(roll.held_by("b")) == {0, 1}
    await shares.forget(roll.expired)
    assert (await shares.beat("b", 60)).expired == []


async def test_who_has_lost_its_lease_takes_nothing_and_stores_nothing(
    client: AsyncMongoClient[dict[str, Any]], prefix: str
) -> None:
    shares = await _founded(client, prefix)
    await shares.beat("a", 60)
    assert await shares.take("a", {0: None, 1: None}, ())
    assert await shares.store("a", {0: {"_data": "20"}, 1: {"_data": "20"}})
    assert await shares.give("a", [1])
    assert not await shares.store("a", {0: {"_data": "30"}, 1: {"_data": "30"}})
    await shares.beat("a", -1)
    assert not await shares.take("a", {1: None}, ())
    roll = await shares.beat("b", 60)
    assert [owned.position for owned in roll.partitions[:3]] == [{"_data": "20"}, {"_data": "20"}, START]


async def test_who_leaves_is_no_member_and_holds_nothing(client: AsyncMongoClient[dict[str, Any]], prefix: str) -> None:
    shares = await _founded(client, prefix)
    await shares.beat("a", 60)
    assert await shares.take("a", dict.fromkeys(range(PARTITION_COUNT)), ())
    assert await shares.give("a", range(PARTITION_COUNT), leaves=True)
    roll = await shares.beat("b", 60)
    assert (roll.members, roll.held_by("a")) == (["b"], {})


async def test_the_first_notifier_goes_on_where_that_of_a_former_version_was(
    client: AsyncMongoClient[dict[str, Any]], prefix: str
) -> None:
    await client[prefix]["positions"].insert_one({"_id": "notifier", "token": {"_data": "07"}})
    shares = await _founded(client, prefix)
    roll = await shares.beat("a", 60)
    assert [owned.position for owned in roll.partitions] == [{"_data": "07"}] * PARTITION_COUNT


async def _founded(client: AsyncMongoClient[dict[str, Any]], prefix: str) -> MongoShares:
    shares = MongoShares(client, prefix)
    await shares.beat("first", -1)
    await shares.found(PARTITION_COUNT, START)
    await shares.found(PARTITION_COUNT, {"_data": "99"})
    await shares.forget(["first"])
    return shares


async def test_a_subscription_made_anew_is_sent_its_backlog_when_another_partition_is_behind(
    mongo: str, prefix: str, client: AsyncMongoClient[dict[str, Any]], writer: Writer, start_receiver: StartReceiver
) -> None:
    settings, delivery = Settings(mongodb_uri=mongo, database=prefix), DeliverySettings(retry_cap_s=0.1)
    receiver = await start_receiver(answer=500)
    leases = client[prefix]["leases"]
    await writer.subscribe("urn:s:1", receiver.uri)
    async with running_notifier(settings, delivery) as running:
        await until(lambda: not any(running.checks().values()))
        earlier = await leases.find_one()
        assert earlier is not None
        await writer.subscriptions.delete_one({"_id": "urn:s:1"})
        await writer.subscribe("urn:s:1", receiver.uri)
        await writer.write(created(room := entity("urn:ngsi-ld:Room:1", temperature=1)))
        await until(lambda: writer.deliveries.count_documents({}))
    # As if other notifiers had held the other partitions, and had not come so far.
    behind = {number for number in range(PARTITION_COUNT) if number != partition("", "urn:s:1")}
    positions = {f"partitions.{number:02}": earlier["partitions"][f"{number:02}"] for number in behind}
    await leases.update_one({}, {"$set": {f"{name}.position": one["position"] for name, one in positions.items()}})
    receiver.answer = 204
    async with running_notifier(settings, delivery):
        changed, change = updated(room, "second", temperature=2)
        await writer.write((changed, [change]))
        await until(lambda: receiver.values() == {room.id: [1, 2]})
