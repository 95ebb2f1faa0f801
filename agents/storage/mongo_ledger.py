"""What agents have written down before they sent it, in MongoDB: collection `ledger` of the agents' database.

    {_id: "<session>/<number of the batch>", by: agent, m: messages, 16 bytes each (identity, stamp), k: keys, 8 each}

One insert a batch, before the batch is sent. It does not wait for the journal (docs/decisions/0022-several-agents.md): the
context broker's write comes later in the journal of the same MongoDB, so where that has survived, so has the page. The
numbers have no gap, so who takes a session over and writes the next number fences whoever had it. The latest
`KEPT_COUNT` batches of a session are kept.
"""

import struct
from collections.abc import Iterable
from secrets import token_hex
from typing import Any

from bson import Binary
from pymongo import DESCENDING, WriteConcern
from pymongo.errors import DuplicateKeyError

from agents.errors import Fenced
from agents.ledger import IDENTITY_BYTES, Entry, Page
from agents.storage.mongo_connection import MongoConnection, translated

KEPT_COUNT = 500
_PRUNE_EVERY_COUNT = 250
_ENTRY = struct.Struct(f">{IDENTITY_BYTES}sQ")


class MongoLedger:
    """The written part of a `Ledger`. Every method raises `StoreUnavailable` when MongoDB does not answer."""

    def __init__(self, connection: MongoConnection) -> None:
        self._collection = connection.database.get_collection(
            "ledger", write_concern=WriteConcern(w="majority", j=True)
        )
        self._swift = self._collection.with_options(write_concern=WriteConcern(w=1, j=False))
        self._name = token_hex(8)
        self._next: dict[str, int] = {}

    async def open(self, session: str) -> list[Page]:
        """Return what has been written down for a session, oldest first. From now on nobody else can write for it."""
        with translated():
            while True:
                found = await self._latest(session)
                number = int(found[0]["_id"].rpartition("/")[2]) + 1 if found else 0
                try:
                    await self._collection.insert_one(self._document(session, number, Page((), ())))
                except DuplicateKeyError:  # the one before has written once more
                    continue
                self._next[session] = number + 1
                return [_page(document) for document in reversed(found)]

    async def write(self, session: str, page: Page) -> None:
        """Write down a batch of a session. `Fenced` when another agent has opened it."""
        number = self._next[session]
        document = self._document(session, number, page)
        with translated():
            try:
                await self._swift.insert_one(document)
            except DuplicateKeyError:
                other = await self._collection.find_one({"_id": document["_id"]})
                if other is None or other["by"] != self._name:
                    raise Fenced(session) from None
                await self._collection.replace_one({"_id": document["_id"]}, document)  # an insert without answer
            self._next[session] = number + 1
            if number % _PRUNE_EVERY_COUNT == 0 and number > KEPT_COUNT:
                await self._collection.delete_many(_range(session, number - KEPT_COUNT))

    async def _latest(self, session: str) -> list[dict[str, Any]]:
        return await self._collection.find(_range(session)).sort("_id", DESCENDING).limit(KEPT_COUNT).to_list()

    def _document(self, session: str, number: int, page: Page) -> dict[str, Any]:
        return {
            "_id": _id(session, number),
            "by": self._name,
            "m": Binary(b"".join(_ENTRY.pack(*entry) for entry in page.messages)),
            "k": Binary(b"".join(page.keys)),
        }


def _id(session: str, number: int) -> str:
    return f"{session}/{number:014}"


def _range(session: str, before: int = 10**14 - 1) -> dict[str, Any]:
    return {"_id": {"$gte": _id(session, 0), "$lt": _id(session, before)}}


def _page(document: dict[str, Any]) -> Page:
    keys: bytes = document["k"]
    return Page([Entry(*entry) for entry in _ENTRY.iter_unpack(document["m"])], list(_cut(keys, IDENTITY_BYTES)))


def _cut(packed: bytes, length: int) -> Iterable[bytes]:
    return (packed[start : start + length] for start in range(0, len(packed), length))
