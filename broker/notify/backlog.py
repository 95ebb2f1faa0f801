"""The way into and out of `deliveries`: bulk writes, one at a time, each with all that gathered meanwhile."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from broker.errors import StorageUnavailable
from broker.notify.lease import Lease
from broker.storage.mongo_deliveries import MongoDeliveries, Row

_PENDING_MAX = 5000
_RETRY_S = 0.5
_WRITE_COUNT = 1000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Writes:
    put: list[tuple[Row, Callable[[], None]]] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)


class Backlog:
    """Stores and removes rows, in the end: while MongoDB is away it keeps trying.

    `put` and `drop` never wait. Who produces rows calls `room` now and then, which holds it up while too many are not
    written; so memory stays bounded.
    """

    def __init__(self, deliveries: MongoDeliveries, lease: Lease) -> None:
        self._deliveries = deliveries
        self._lease = lease
        self._writes: dict[str, _Writes] = {}
        self._written = asyncio.Condition()
        self._arrived = asyncio.Event()
        self._given_count = 0
        self._done_count = 0

    @property
    def pending_count(self) -> int:
        """Rows given and not yet written."""
        return self._given_count - self._done_count

    def put(self, tenant: str, row: Row, durable: Callable[[], None]) -> None:
        """Store a row; `durable` is called once it is there."""
        self._of(tenant).put.append((row, durable))
        self._given()

    def drop(self, tenant: str, row: Row) -> None:
        """Remove a row that has been delivered."""
        self._of(tenant).drop.append(row.id)
        self._given()

    async def flush(self) -> None:
        """Waits until all that was given so far is written."""
        mark = self._given_count
        async with self._written:
            await self._written.wait_for(lambda: self._done_count >= mark)

    async def room(self) -> None:
        """Waits while more is pending than memory should hold."""
        if self.pending_count > _PENDING_MAX:
            async with self._written:
                await self._written.wait_for(lambda: self.pending_count <= _PENDING_MAX)

    async def run(self) -> None:
        """Writes, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            given, self._writes = self._writes, {}
            for tenant, writes in given.items():
                await self._write(tenant, writes)

    async def _write(self, tenant: str, writes: _Writes) -> None:
        for start in range(0, max(len(writes.put), len(writes.drop)), _WRITE_COUNT):
            put, drop = writes.put[start : start + _WRITE_COUNT], writes.drop[start : start + _WRITE_COUNT]
            await self._until_written(tenant, [row for row, _ in put], drop)
            for _, durable in put:
                durable()
            self._done_count += len(put) + len(drop)
            async with self._written:
                self._written.notify_all()

    async def _until_written(self, tenant: str, put: list[Row], drop: list[str]) -> None:
        while True:
            await self._lease.sure()
            try:
                await self._deliveries.change(tenant, put, drop)
            except StorageUnavailable as exc:
                log.warning("backlog not written", rows=len(put), reason=exc.detail, retry_in_s=_RETRY_S)
                await asyncio.sleep(_RETRY_S)
            else:
                return

    def _of(self, tenant: str) -> _Writes:
        writes = self._writes.get(tenant)
        if writes is None:
            writes = self._writes[tenant] = _Writes()
        return writes

    def _given(self) -> None:
        self._given_count += 1
        self._arrived.set()
