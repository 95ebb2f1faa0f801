"""What agents have written down before they sent it, in MongoDB: collection `ledger` of the agents' database.

    {_id: "<session>/<number of the batch>", m: messages, 16 bytes each (identity, stamp), k: keys, 8 bytes each}

One insert a batch, not waited for beyond the server's memory (w:1): in a replica set that also holds the entities, a
later commit of theirs with w:majority makes it durable as well. The latest `KEPT_COUNT` batches of a session are kept.
"""

import struct
from collections.abc import Iterable
from typing import Any

from bson import Binary
from pymongo import DESCENDING, WriteConcern
from pymongo.errors import DuplicateKeyError

from agents.ledger import IDENTITY_BYTES, Entry, Page
from agents.storage.mongo_connection import MongoConnection, translated

KEPT_COUNT = 500
_PRUNE_EVERY_COUNT = 250
_ENTRY = struct.Struct(f">{IDENTITY_BYTES}sQ")


class MongoLedger:
    """The written part of a `Ledger`. Every method raises `StoreUnavailable` when MongoDB does not answer."""

    def __init__(self, connection: MongoConnection) -> None:
        self._collection = connection.database.get_collection("ledger", write_concern=WriteConcern(w=1))
        self._next: dict[str, int] = {}

    async def read(self, session: str) -> list[Page]:
        """Return what has been written down for a session, oldest first; what is written next comes after it."""
        with translated():
            found = await self._collection.find(_range(session)).sort("_id", DESCENDING).limit(KEPT_COUNT).to_list()
        self._next[session] = int(found[0]["_id"].rpartition("/")[2]) + 1 if found else 0
        return [_page(document) for document in reversed(found)]

    async def write(self, session: str, page: Page) -> None:
        """Write down a batch of a session."""
        number = self._next.get(session, 0)
        document: dict[str, Any] = {
            "_id": _id(session, number),
            "m": Binary(b"".join(_ENTRY.pack(*entry) for entry in page.messages)),
            "k": Binary(b"".join(page.keys)),
        }
        with translated():
            try:
                await self._collection.insert_one(document)
            except DuplicateKeyError:  # a repetition of an insert that was not answered, or of an agent before this one
                await self.read(session)
                document["_id"] = _id(session, self._next[session])
                await self._collection.insert_one(document)
            self._next[session] = int(document["_id"].rpartition("/")[2]) + 1
            if number % _PRUNE_EVERY_COUNT == 0 and number > KEPT_COUNT:
                await self._collection.delete_many(_range(session, number - KEPT_COUNT))


def _id(session: str, number: int) -> str:
    return f"{session}/{number:014}"


def _range(session: str, before: int = 10**14 - 1) -> dict[str, Any]:
    return {"_id": {"$gte": _id(session, 0), "$lt": _id(session, before)}}


def _page(document: dict[str, Any]) -> Page:
    keys: bytes = document["k"]
    return Page([Entry(*entry) for entry in _ENTRY.iter_unpack(document["m"])], list(_cut(keys, IDENTITY_BYTES)))


def _cut(packed: bytes, length: int) -> Iterable[bytes]:
    return (packed[start : start + length] for start in range(0, len(packed), length))
