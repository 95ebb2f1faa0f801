"""MongoDB's change stream read from any moment that it still reaches, by readers who keep their place themselves.

A moment is the `sequence` of an event. Nothing is stored: any number of processes read at the same time.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from broker.clock import system_now
from broker.storage.mongo_feed import LOST_CODES, MongoFeed, Position, connect_feed, sequence_of
from broker.storage.mongo_linked import MongoLinked
from broker.tasks import close
from ngsi.entity import Entity

_AWAIT_PAST_MS = 20

log = structlog.get_logger(__name__)


class MongoLog(MongoFeed):
    """The events of all tenants from a moment on (that one included), or from now.

    After `open`, `began` is the present moment as it was then: what has happened until then is read when a batch says
    `caught_up`. `gap` says why the log could not be read from `since` (it is read from now then), None if it could.
    """

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], prefix: str, since: str | None = None) -> None:
        super().__init__(client, prefix)
        self._since = since
        if since is not None:
            # The reader wants to know soon that nothing is left to catch up with.
            self._await_ms = _AWAIT_PAST_MS
        self.began = ""
        self.gap: str | None = None

    async def _start(self, after: Position | None) -> None:
        self.began = sequence_of((await self._client.admin.command("ping"))["operationTime"])
        self._position = await self._aggregate(None)
        self._present = str(self._position["_data"])
        if self._since is None:
            return
        if self._since > self.began:
            self.gap = "the place lies behind the end of the log: it is from another deployment, or data were restored"
            return
        moment = Timestamp(int(self._since[:8], 16), int(self._since[8:], 16))
        try:
            self._position = await self._aggregate(None, since=moment)
        except OperationFailure as exc:
            if exc.code not in LOST_CODES:
                raise
            log.info("log does not reach back", reason=str(exc)[:300])
            self.gap = "MongoDB's log no longer reaches back to the place"
            self._position = await self._aggregate(None)


class MongoLogs:
    """Makes readers of the log; they share one client, which is made for the first of them."""

    def __init__(self, uri: str, prefix: str, timeout_s: float) -> None:
        self._uri = uri
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._client: AsyncMongoClient[dict[str, Any]] | None = None

    def reader(self, since: str | None) -> MongoLog:
        """A reader from a moment on, or from now; it is not open yet."""
        return MongoLog(self._connected(), self._prefix, since)

    async def read_linked(self, tenant: str, ids: Sequence[str]) -> dict[str, Entity]:
        """Living entities of a tenant by id. Raises StorageUnavailable."""
        return await MongoLinked(self._connected(), self._prefix, system_now).read(tenant, ids)

    def _connected(self) -> AsyncMongoClient[dict[str, Any]]:
        if self._client is None:
            self._client = connect_feed(self._uri, self._timeout_s)
        return self._client

    async def close(self) -> None:
        """Ends all connections."""
        if self._client is not None:
            await close(self._client)
