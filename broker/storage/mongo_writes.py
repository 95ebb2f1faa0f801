"""The writing side of the collection `entities`: conditional replaces, many in one round trip.

MongoDB is given the command `update` as such. PyMongo's `bulk_write` would make a retryable write of each replace, for
which MongoDB keeps a record besides: a seventh of what a write costs it (docs/benchmarks.md). What such a record is for
the revision does as well: when an answer is lost, the writes are sent once more, and those that are refused then are
looked at, whether they are there already.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bson.errors import InvalidDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    AutoReconnect,
    DocumentTooLarge,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
)

from broker.errors import StorageUnavailable, WriteConflict
from broker.storage import mongo_documents as documents
from broker.storage.base import Write
from ngsi.errors import BadRequestData, NgsiError
from ngsi.names import show

_ROUND_TRIP_COUNT = 256
"""Writes in one round trip at the most: so many are encoded without a break, in some milliseconds."""
_DUPLICATE_KEY = 11000
_TOO_LARGE_CODES = frozenset({10334, 17280, 17419, 17420})
"""BSONObjectTooLarge, KeyTooLong, and two for a document over 16 MiB."""

_Refusal = tuple[int, str]
"""MongoDB's code and words for a write that it refuses."""


class EntityWriter:
    """Writes states to one collection, each on condition of its revision, durably."""

    def __init__(self, collection: AsyncCollection[dict[str, Any]]) -> None:
        self._collection = collection

    async def write(self, writes: Sequence[Write]) -> dict[int, NgsiError]:
        """See `EntityStore.write`; many go in several round trips at the same time.

        A replace that finds no document of its revision tries to insert one and fails on the id if the entity has
        moved on: so the answer tells exactly which writes came too late, creations and updates alike.
        """
        if len(writes) <= _ROUND_TRIP_COUNT:
            return await self._round_trip(writes, _updates(writes))
        starts = range(0, len(writes), _ROUND_TRIP_COUNT)
        parts: list[asyncio.Task[dict[int, NgsiError]]] = []
        for start in starts:
            part = writes[start : start + _ROUND_TRIP_COUNT]
            parts.append(asyncio.create_task(self._round_trip(part, _updates(part))))
            await asyncio.sleep(0)  # other requests get their turn while these are encoded
        answers = await asyncio.gather(*parts, return_exceptions=True)
        failures: dict[int, NgsiError] = {}
        for start, answer in zip(starts, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            failures |= {start + index: error for index, error in answer.items()}
        return failures

    async def _round_trip(self, writes: Sequence[Write], updates: list[dict[str, Any]]) -> dict[int, NgsiError]:
        try:
            refusals = await self._surely(writes, updates)
        except (InvalidDocument, DocumentTooLarge, OverflowError, PyMongoError) as exc:
            if isinstance(exc, PyMongoError) and not _is_of_the_documents(exc):
                raise StorageUnavailable(f"MongoDB does not answer: {show(str(exc), 200)}") from exc
            if len(writes) == 1:
                return await self._without_previous(writes[0], str(exc))
            return await self._in_halves(writes, updates)
        failures: dict[int, NgsiError] = {}
        for index, (code, words) in refusals.items():
            entity_id = writes[index].id
            if code == _DUPLICATE_KEY:
                failures[index] = WriteConflict(f"Entity {entity_id} was written by another process")
            elif code not in _TOO_LARGE_CODES:
                failures[index] = _unstorable(writes[index], words)
            elif failed := await self._without_previous(writes[index], words):
                failures[index] = failed[0]
        return failures

    async def _in_halves(self, writes: Sequence[Write], updates: list[dict[str, Any]]) -> dict[int, NgsiError]:
        """Writes that do not go together: too large for a message, or one of them is not to be encoded at all."""
        middle = len(writes) // 2
        failures = await self._round_trip(writes[:middle], updates[:middle])
        later = await self._round_trip(writes[middle:], updates[middle:])
        return failures | {middle + index: error for index, error in later.items()}

    async def _without_previous(self, write: Write, problem: str) -> dict[int, NgsiError]:
        """One that is too large, without the part that can be done without: what an update overwrote."""
        if not any(change.previous for change in write.changes):
            return {0: _unstorable(write, problem)}
        lean = [replace(write, changes=[replace(change, previous=[]) for change in write.changes])]
        return await self._round_trip(lean, _updates(lean))

    async def _surely(self, writes: Sequence[Write], updates: list[dict[str, Any]]) -> dict[int, _Refusal]:
        """Sends the writes, and once more if it is not known what became of them."""
        try:
            return await self._send(updates)
        except ServerSelectionTimeoutError:
            raise  # it waited for a server already
        except (AutoReconnect, WriteConcernError):
            refusals = await self._send(updates)
        doubtful = [writes[index] for index, (code, _) in refusals.items() if code == _DUPLICATE_KEY]
        stored = await self._stored(doubtful) if doubtful else set()
        return {index: refusal for index, refusal in refusals.items() if writes[index].id not in stored}

    async def _send(self, updates: list[dict[str, Any]]) -> dict[int, _Refusal]:
        answer: Mapping[str, Any] = await self._collection.database.command(
            {
                "update": self._collection.name,
                "updates": updates,
                "ordered": False,
                "writeConcern": self._collection.write_concern.document,
            }
        )
        if error := answer.get("writeConcernError"):
            raise WriteConcernError(f"the write is not durable: {error['errmsg']}", error["code"], error)
        return {item["index"]: (item["code"], item["errmsg"]) for item in answer.get("writeErrors", ())}

    async def _stored(self, writes: Sequence[Write]) -> set[str]:
        """Which of these writes are there: the revision is theirs, and so are the requests that made it."""
        mine = {write.id: (write.rev + 1, [change.request for change in write.changes]) for write in writes}
        condition = {"_id": {"$in": list(mine)}}
        found = await self._collection.find(condition, {"rev": 1, "changes.request": 1}).to_list()
        return {
            item["_id"]
            for item in found
            if (item["rev"], [change["request"] for change in item["changes"]]) == mine[item["_id"]]
        }


def _updates(writes: Sequence[Write]) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {"q": {"_id": write.id, "rev": write.rev}, "u": documents.document(write, now), "upsert": True}
        for write in writes
    ]


def _is_of_the_documents(error: PyMongoError) -> bool:
    """Whether it is the documents: they are too large to be sent, or have something in them that BSON has not."""
    return isinstance(error, DocumentTooLarge | InvalidDocument) or (
        isinstance(error, OperationFailure) and error.code in _TOO_LARGE_CODES
    )


def _unstorable(write: Write, problem: str) -> BadRequestData:
    return BadRequestData(f"Entity {write.id} cannot be stored: {show(problem, 200)}")
