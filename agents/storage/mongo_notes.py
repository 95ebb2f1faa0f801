"""Who changes groups or devices leaves a note, so that the other agents look: the collection `registryNotes`.

    {_id, at: when (by the clock of the database), shelf, keys: [_id of the record, …]}

A change stream would tell sooner, but each one that is open makes MongoDB look at every write of the whole server: 10
to 25 µs for each update of an entity. A note costs who provisions a write, and the others two small reads a second.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from bson import ObjectId
from pymongo import ASCENDING, IndexModel

from agents.storage.base import ShelfName
from agents.storage.mongo_connection import Database

SEEN_FOR_S = 5.0
"""A note is left before the change, so that no crash can come between; so long the record is looked at again."""

_KEPT_S = 600
_RECENT = {"$expr": {"$gte": ["$at", {"$subtract": ["$$NOW", int(SEEN_FOR_S * 1000)]}]}}


class Notes:
    """See the module. PyMongoError where the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._notes = database["registryNotes"]

    async def prepare(self) -> None:
        """Make the index; old notes go by themselves."""
        await self._notes.create_indexes([IndexModel([("at", ASCENDING)], name="at", expireAfterSeconds=_KEPT_S)])

    @asynccontextmanager
    async def left(self, shelf: ShelfName, keys: Sequence[str]) -> AsyncIterator[None]:
        """Note that these records change within the block."""
        began_s = monotonic()
        await self._leave(shelf, keys)
        yield
        if monotonic() - began_s > SEEN_FOR_S / 2:
            await self._leave(shelf, keys)

    async def recent(self) -> Mapping[ShelfName, set[str]]:
        """The keys of records that may have changed in the last seconds."""
        found: dict[ShelfName, set[str]] = {"groups": set(), "devices": set()}
        async for note in self._notes.find(_RECENT, {"shelf": 1, "keys": 1}):
            found[note["shelf"]].update(note["keys"])
        return found

    async def _leave(self, shelf: ShelfName, keys: Sequence[str]) -> None:
        members = {"at": "$$NOW", "shelf": shelf, "keys": {"$literal": list(keys)}}
        await self._notes.update_one({"_id": ObjectId()}, [{"$set": members}], upsert=True)
