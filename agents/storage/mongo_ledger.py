"""What agents have written down before they sent it, in MongoDB: collection `ledger` of the agents' database.

    {_id: "<session>/<number of the batch>", by: agent, m: messages, 16 bytes each (identity, stamp), k: keys, 8 each}

One insert a batch, before the batch is sent. It does not wait for the journal: the context broker's write comes later
in the journal of the same MongoDB, so where that has survived, so has the page (docs/decisions/0022-several-agents.md).
The numbers have no gap, so who takes a session over and writes the next ones fences whoever had it. The latest
`KEPT_COUNT` batches of a session are kept.
"""

import struct
from collections.abc import Iterable
from secrets import token_hex
from typing import Any

from bson import Binary
from pymongo import DESCENDING, WriteConcern
from pymongo.errors import BulkWriteError, DuplicateKeyError

from agents.errors import Fenced
from agents.ledger import IDENTITY_BYTES, Entry, Page
from agents.storage.mongo_connection import MongoConnection, translated

KEPT_COUNT = 500
_FENCE_COUNT = 2
"""Pages written by who opens a session. A crash of MongoDB can lose the last page, of a batch that is not committed
yet; the agent that wrote it goes on with the number after it, and must find that taken too."""
_DUPLICATE_KEY = 11000
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
                fence = [self._document(session, number + place, Page((), ())) for place in range(_FENCE_COUNT)]
                try:
                    await self._collection.insert_many(fence)
                except BulkWriteError as error:
                    if not _is_taken(error):
                        raise
                    continue  # the one before has written once more
                self._next[session] = number + _FENCE_COUNT
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


def _is_taken(error: BulkWriteError) -> bool:
    return any(failed["code"] == _DUPLICATE_KEY for failed in (error.details or {}).get("writeErrors", ()))


def _id(session: str, number: int) -> str:
    return f"{session}/{number:014}"


def _range(session: str, before: int = 10**14 - 1) -> dict[str, Any]:
    return {"_id": {"$gte": _id(session, 0), "$lt": _id(session, before)}}


def _page(document: dict[str, Any]) -> Page:
    keys: bytes = document["k"]
    messages = [Entry(*entry) for entry in _ENTRY.iter_unpack(document["m"])]
    return Page(messages, list(_cut(keys, IDENTITY_BYTES)), document["by"])


def _cut(packed: bytes, length: int) -> Iterable[bytes]:
    return (packed[start : start + length] for start in range(0, len(packed), length))
