"""MongoDB's change stream as the log of everything that happens to entities and subscriptions, of all tenants.

One cluster-wide stream, read batch by batch with plain commands: PyMongo's own iterator awaits once per event, which
costs more than the decoding (30,000 events/s this way). Entities are written by insert and replace, so an event has
the whole document in it. Of the updates only those of a subscription itself reach the reader, with the document as
the update left it but for its counters (None if it is gone by now); updates of counters leave `modifiedAt` as it is.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Literal

import structlog
from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import OperationFailure, PyMongoError

from broker.storage.mongo_client import connect
from broker.storage.mongo_errors import unavailable
from broker.storage.mongo_tenants import tenant_of

Operation = Literal["insert", "replace", "update", "delete"]
Position = Mapping[str, Any]
"""A resume token of MongoDB. Tokens can be compared by their hexadecimal `_data`."""

_BATCH_COUNT = 500
_AWAIT_MS = 1000
_CLOSE_WITHIN_S = 0.5
# How long to let events gather before the next round trip, by the number that the last one brought at once: a round
# trip costs as much as ten events, of MongoDB's time and ours. Few that come slowly are taken as they come.
_GATHER = ((8, 0.001), (16, 0.004), (200, 0.012))
_AT_ONCE_S = 0.008
_RECONNECT_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
# InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost, and three ways to say that a token is none: the
# position is of no use any more.
LOST_CODES = frozenset({260, 280, 286, 9, 40647, 50811})

log = structlog.get_logger(__name__)


def connect_feed(uri: str, timeout_s: float) -> AsyncMongoClient[dict[str, Any]]:
    """A client for the notifier. A server that has gone silent is given up, so that the stream starts anew."""
    return connect(uri, timeout_s, "medina-notifier", socketTimeoutMS=int(2000 * timeout_s) + _AWAIT_MS)


@dataclass(slots=True)
class Event:
    """One write. `sequence` grows with every write of a document; `document` is None for a deletion.

    `token` is the text of its resume token, by which it can be compared with a Position's `_data`.
    """

    tenant: str
    collection: str
    operation: Operation
    id: str
    document: dict[str, Any] | None
    sequence: str
    token: str


@dataclass(slots=True)
class Batch:
    """Events in their order, and the position behind the last. `caught_up`: all that was there at the start is read."""

    events: list[Event]
    position: Position
    caught_up: bool
    lag_ms: float
    """Age of the youngest event when it was read, by the clock of MongoDB's host; 0 for an empty batch."""


class MongoFeed:
    """The events of all tenants in one order, each at least once, from a position on.

    A break (server restart, fail-over) is waited out and continued at the last event read: no gap, no repetition. Only
    when MongoDB no longer has the events behind the position (its oplog is too small for the time the notifier was
    away) is there a gap: it is logged, `lost_count` grows, and the feed goes on from now.
    """

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._session: AsyncClientSession | None = None
        self._cursor_id = 0
        self._position: Position | None = None
        self._present = ""
        self._first: list[dict[str, Any]] = []
        self._gather_s = 0.0
        self._await_ms = _AWAIT_MS
        self.lost_count = 0
        self.connected = False

    async def open(self, after: Position | None = None) -> None:
        """Starts behind a position, or now: nothing written after that is missed. Waits until MongoDB answers."""
        failures = 0
        while True:
            try:
                await self._start(after)
            except PyMongoError as exc:
                await self._wait_out(exc, failures)
                failures += 1
            else:
                return

    async def batches(self) -> AsyncIterator[Batch]:
        """All events from the opening on, for ever; an empty batch now and then while nothing happens."""
        failures = 0
        while True:
            try:
                batch = await self._next()
            except PyMongoError as exc:
                self.connected = False
                self._cursor_id = 0
                await self._wait_out(exc, failures)
                failures += 1
            else:
                failures = 0
                self.connected = True
                yield batch

    async def close(self) -> None:
        """Ends the stream on the server's side, as far as it answers."""
        await self._close_cursor()

    async def present(self) -> Position:
        """The position of now, of a feed that is not open. Raises StorageUnavailable."""
        try:
            with unavailable("The change stream cannot be opened"):
                return await self._aggregate(None)
        finally:
            await self._close_cursor()

    async def _start(self, after: Position | None) -> None:
        """Where the stream stands now is asked first: what lies before it counts as the past to catch up with."""
        present = await self._aggregate(None)
        self._present = str(present["_data"])
        if after is None:
            self._position = present
        else:
            await self._resume(after)

    async def _resume(self, position: Position) -> None:
        self._position = position
        try:
            await self._aggregate(position)
        except OperationFailure as exc:
            if exc.code not in LOST_CODES:
                raise
            self.lost_count += 1
            log.critical(
                "feed lost: changes since the last position cannot be read and are not notified", reason=str(exc)
            )
            self._position = await self._aggregate(None)

    async def _aggregate(self, position: Position | None, since: Timestamp | None = None) -> Position:
        """Opens the stream behind the position, else with the moment `since`, else now; gives where it stands.

        A cursor belongs to the session that opened it, so that all its commands must name the same one.
        """
        await self._close_cursor()
        self._session = self._client.start_session(causal_consistency=False)
        stage: dict[str, Any] = {"allChangesForCluster": True, "fullDocument": "updateLookup"}
        if position is not None:
            stage["resumeAfter"] = position
        elif since is not None:
            stage["startAtOperationTime"] = since
        command = {
            "aggregate": 1,
            "pipeline": [{"$changeStream": stage}, {"$match": self._wanted()}],
            "cursor": {"batchSize": _BATCH_COUNT},
        }
        cursor = (await self._client.admin.command(command, session=self._session))["cursor"]
        self._cursor_id = cursor["id"]
        self._first = cursor["firstBatch"]
        return dict(cursor["postBatchResumeToken"])

    async def _close_cursor(self) -> None:
        if self._session is None:
            return
        session, cursor_id = self._session, self._cursor_id
        self._session, self._cursor_id = None, 0
        if cursor_id:
            command = {"killCursors": "$cmd.aggregate", "cursors": [cursor_id]}
            with suppress(PyMongoError, TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await self._client.admin.command(command, session=session)
        await session.end_session()

    def _wanted(self) -> dict[str, Any]:
        return {
            "ns.db": re.compile(f"^{re.escape(self._prefix)}(_|$)"),
            "$or": [
                {"ns.coll": "entities", "operationType": {"$in": ["insert", "replace"]}},
                {"ns.coll": "subscriptions", "operationType": {"$in": ["insert", "replace", "delete"]}},
                {
                    "ns.coll": "subscriptions",
                    "operationType": "update",
                    "updateDescription.updatedFields.modifiedAt": {"$exists": True},
                },
            ],
        }

    async def _next(self) -> Batch:
        if not self._cursor_id and self._position is not None:
            await self._resume(self._position)
        if self._first:
            written, self._first = self._first, []
            position: Position = written[-1]["_id"]
        else:
            if self._gather_s:
                await asyncio.sleep(self._gather_s)
            asked_at_s = monotonic()
            command = {"getMore": self._cursor_id, "collection": "$cmd.aggregate", "batchSize": _BATCH_COUNT}
            command["maxTimeMS"] = self._await_ms
            answer = await self._client.admin.command(command, session=self._session)
            cursor = answer["cursor"]
            written, position = cursor["nextBatch"], cursor["postBatchResumeToken"]
            self._cursor_id = cursor["id"]
            self._gather_s = _gather_s(len(written), monotonic() - asked_at_s)
        self._position = position
        return Batch(
            [_event(change, self._prefix) for change in written],
            position,
            str(position["_data"]) >= self._present,
            _age_ms(written[-1]) if written else 0.0,
        )

    async def _wait_out(self, exc: PyMongoError, failures: int) -> None:
        delay_s = _RECONNECT_S[min(failures, len(_RECONNECT_S) - 1)]
        log.warning("change stream interrupted", reason=str(exc)[:300], retry_in_s=delay_s)
        await asyncio.sleep(delay_s)


def _gather_s(count: int, waited_s: float) -> float:
    """How long to wait before the next round trip, after one that brought `count` events within `waited_s`."""
    if not count or waited_s > _AT_ONCE_S:
        return 0.0
    return next((gather_s for limit, gather_s in _GATHER if count < limit), 0.0)


def _event(change: dict[str, Any], prefix: str) -> Event:
    namespace = change["ns"]
    return Event(
        tenant_of(prefix, namespace["db"]),
        namespace["coll"],
        change["operationType"],
        change["documentKey"]["_id"],
        _document(change),
        sequence_of(change["clusterTime"]),
        change["_id"]["_data"],
    )


def _document(change: dict[str, Any]) -> dict[str, Any] | None:
    """MongoDB looks up the document of an update when the event is read: what the update set has the say."""
    document: dict[str, Any] | None = change.get("fullDocument")
    described = change.get("updateDescription")
    if document is None or described is None:
        return document
    kept = {name: value for name, value in document.items() if name not in described["removedFields"]}
    return kept | {name: value for name, value in described["updatedFields"].items() if "." not in name}


def sequence_of(time: Timestamp) -> str:
    """A moment of MongoDB's log as text: the order of the texts is that of the moments."""
    return f"{time.time:08x}{time.inc:08x}"


def _age_ms(change: dict[str, Any]) -> float:
    written_at: datetime = change.get("wallTime") or change["clusterTime"].as_datetime()
    if written_at.tzinfo is None:
        written_at = written_at.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - written_at).total_seconds() * 1000)
