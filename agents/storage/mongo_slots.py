"""Which agent holds which slot: one document of the collection `slots` for each client id, so every step is atomic.

    {_id: client id, at: date, members: {name: {until: date}}, holders: {"0": name | null, …}}

A member's lease is one for all slots that it holds. Times are those of MongoDB: clocks of agents do not matter.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from pymongo import ReturnDocument, WriteConcern

from agents.errors import StoreUnavailable
from agents.storage.mongo_connection import MongoConnection, translated

_ANSWER_WITHIN_S = 2.0


class Roll(NamedTuple):
    """The register at a moment: whose lease runs, whose has run out, and the holder of each slot."""

    members: list[str]
    expired: list[str]
    holders: list[str | None]


class MongoSlots:
    """The register. Every method raises `StoreUnavailable` when MongoDB does not answer soon."""

    def __init__(self, connection: MongoConnection, client_id: str, count: int) -> None:
        durable = WriteConcern(w="majority", j=True)
        self._slots = connection.database.get_collection("slots", write_concern=durable)
        self._id = {"_id": client_id}
        self._founded: dict[str, None] = {str(slot): None for slot in range(count)}

    async def beat(self, name: str, for_s: float) -> Roll:
        """Enter or prolong the lease of an agent; the register as it is then. The first agent of all makes the slots.

        Their number stays: sessions hold messages by it. Who has another is not entered, or would be left a share.
        """
        member = {name: {"until": {"$add": ["$$NOW", int(for_s * 1000)]}}}
        agrees = {"$eq": [{"$size": {"$objectToArray": "$holders"}}, len(self._founded)]}
        members = {"$cond": [agrees, {"$mergeObjects": ["$members", member]}, {"$ifNull": ["$members", {}]}]}
        founded = {"$ifNull": ["$holders", {"$literal": self._founded}]}
        async with _answering():
            document = await self._slots.find_one_and_update(
                self._id,
                [{"$set": {"holders": founded}}, {"$set": {"at": "$$NOW", "members": members}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        assert document is not None
        return _roll(document)

    async def take(self, name: str, slot: int, holder: str | None, *, is_gone: bool) -> bool:
        """Make an agent the holder in place of another; False if anything is not as it was.

        The other's lease must have run out, if it is not known to be gone; that of the taker must not.
        """
        conditions = [_runs(f"$members.{name}")]
        if holder is not None and not is_gone:
            conditions.append({"$not": [_runs(f"$members.{holder}")]})
        condition = {**self._id, f"holders.{slot}": holder, "$expr": {"$and": conditions}}
        return await self._update(condition, {"$set": {f"holders.{slot}": name}})

    async def give(self, name: str, slot: int) -> bool:
        """Let a slot be taken by others."""
        return await self._update({**self._id, f"holders.{slot}": name}, {"$set": {f"holders.{slot}": None}})

    async def leave(self, name: str) -> None:
        """Give everything, and be no member any more."""
        for slot in self._founded:
            await self._update({**self._id, f"holders.{slot}": name}, {"$set": {f"holders.{slot}": None}})
        await self._update(self._id, {"$unset": {f"members.{name}": ""}})

    async def forget(self, names: Iterable[str]) -> None:
        """Strike out members that hold nothing any more."""
        for name in names:
            held = {"$in": [name, {"$map": {"input": {"$objectToArray": "$holders"}, "in": "$$this.v"}}]}
            await self._update({**self._id, "$expr": {"$not": [held]}}, {"$unset": {f"members.{name}": ""}})

    async def _update(self, condition: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        async with _answering():
            return (await self._slots.update_one(condition, change)).matched_count == 1


def _runs(member: str) -> dict[str, Any]:
    return {"$gt": [f"{member}.until", "$$NOW"]}


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            with translated():
                yield
    except TimeoutError as error:
        raise StoreUnavailable("MongoDB does not answer in time") from error


def _roll(document: Mapping[str, Any]) -> Roll:
    members: list[str] = []
    expired: list[str] = []
    for name, member in document["members"].items():
        (members if member["until"] > document["at"] else expired).append(name)
    holders = document["holders"]
    return Roll(members, expired, [holders[str(slot)] for slot in range(len(holders))])
