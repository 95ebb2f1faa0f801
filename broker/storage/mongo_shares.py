"""Which notifier serves which partition of the subscriptions, and how far in the feed each partition has come.

One document of the collection `leases` in the default tenant's database, so that every change is atomic:
{_id: "notifier", at: date, members: {name: {until: date}},
 partitions: {"00": {holder: name | null, position: resume token}, …}}
A member's lease is one for all partitions that it holds. Times are those of MongoDB. A position is written only while
the writer is the holder.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pymongo import AsyncMongoClient, ReturnDocument, WriteConcern
from pymongo.errors import PyMongoError

from broker.errors import StorageUnavailable

_ID = {"_id": "notifier"}
_ANSWER_WITHIN_S = 2.0


@dataclass(slots=True)
class Owned:
    """One partition: who has it (perhaps one that is no more), and its position in the feed."""

    holder: str | None
    position: Mapping[str, Any]


@dataclass(slots=True)
class Roll:
    """The register at a moment. `members`: those whose lease runs; `expired`: those whose lease has run out.

    `partitions` is empty in a new database.
    """

    members: list[str]
    expired: list[str]
    partitions: list[Owned]

    def held_by(self, name: str) -> dict[int, Mapping[str, Any]]:
        """Number → position of a notifier's partitions."""
        return {number: owned.position for number, owned in enumerate(self.partitions) if owned.holder == name}


class MongoShares:
    """The register. Every method raises StorageUnavailable when MongoDB does not answer soon."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str) -> None:
        durable = WriteConcern(w="majority", j=True)
        self._leases = client[prefix].get_collection("leases", write_concern=durable)
        self._positions = client[prefix]["positions"]

    async def beat(self, name: str, for_s: float) -> Roll:
        """Enters or prolongs the lease of a notifier; the register as it is then."""
        member = {"until": {"$add": ["$$NOW", int(for_s * 1000)]}}
        async with _answering():
            document = await self._leases.find_one_and_update(
                _ID,
                [{"$set": {"at": "$$NOW", f"members.{name}": member}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        assert document is not None
        return _roll(document)

    async def found(self, count: int, position: Mapping[str, Any]) -> None:
        """Enters the partitions, held by nobody, at this position, unless another process has."""
        async with _answering():
            # Where the one notifier of former versions had come.
            former = await self._positions.find_one(_ID)
            start = position if former is None else former["token"]
            partitions = {_key(number): {"holder": None, "position": start} for number in range(count)}
            await self._leases.update_one(
                {**_ID, "partitions": {"$exists": False}}, {"$set": {"partitions": partitions}}
            )

    async def take(self, name: str, wanted: Mapping[int, str | None], gone: Collection[str]) -> bool:
        """Makes a notifier the holder of partitions in place of these holders; False if anything is not as it was.

        A holder's lease must have run out, if it is not known to be `gone`; that of the taker must not.
        """
        condition: dict[str, Any] = {**_ID, **{_holder(number): holder for number, holder in wanted.items()}}
        waited_for = {holder for holder in wanted.values() if holder is not None and holder not in gone}
        runs = {"$gt": [f"$members.{name}.until", "$$NOW"]}
        ended = [{"$not": [{"$gt": [f"$members.{holder}.until", "$$NOW"]}]} for holder in sorted(waited_for)]
        condition["$expr"] = {"$and": [runs, *ended]}
        return await self._update(condition, {"$set": {_holder(number): name for number in wanted}})

    async def give(self, name: str, numbers: Collection[int], *, leaves: bool = False) -> bool:
        """Lets partitions be taken by others; with `leaves` the notifier is no member any more."""
        change: dict[str, Any] = {"$set": {_holder(number): None for number in numbers}} if numbers else {}
        if leaves:
            change["$unset"] = {f"members.{name}": ""}
        return await self._update(_held(name, numbers), change)

    async def store(self, name: str, positions: Mapping[int, Mapping[str, Any]]) -> bool:
        """Remembers how far partitions have come; False when the notifier does not hold all of them any more."""
        change = {f"partitions.{_key(number)}.position": position for number, position in positions.items()}
        return await self._update(_held(name, positions), {"$set": change})

    async def forget(self, names: Sequence[str]) -> None:
        """Strikes out members whose lease has run out."""
        for name in names:
            ended = {"$lt": [f"$members.{name}.until", "$$NOW"]}
            await self._update({**_ID, "$expr": ended}, {"$unset": {f"members.{name}": ""}})

    async def _update(self, condition: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        async with _answering():
            return (await self._leases.update_one(condition, change)).matched_count == 1


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            yield
    except (PyMongoError, TimeoutError) as exc:
        raise StorageUnavailable(f"The register of notifiers cannot be reached: {str(exc)[:200]}") from exc


def _held(name: str, numbers: Collection[int]) -> dict[str, Any]:
    return {**_ID, **{_holder(number): name for number in numbers}}


def _key(number: int) -> str:
    return f"{number:02}"


def _holder(number: int) -> str:
    return f"partitions.{_key(number)}.holder"


def _roll(document: Mapping[str, Any]) -> Roll:
    members: list[str] = []
    expired: list[str] = []
    for name, member in document.get("members", {}).items():
        (members if member["until"] > document["at"] else expired).append(name)
    partitions = document.get("partitions", {})
    return Roll(members, expired, [Owned(item["holder"], item["position"]) for _, item in sorted(partitions.items())])
