"""The way into and out of `deliveries`: bulk writes, one at a time, each with all that gathered meanwhile."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from broker.errors import StorageUnavailable
from broker.notify.lease import Lease
from broker.storage.mongo_deliveries import MongoDeliveries, Row
from broker.storage.mongo_held import HeldState

_PENDING_MAX = 5000
_RETRY_S = 0.5
_WRITE_COUNT = 1000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    """A state to store, in place of others that it has overtaken on its way; `durable` has their callers too."""

    state: HeldState
    durable: list[Callable[[], None]]


@dataclass(slots=True)
class _Writes:
    put: list[tuple[Row, Callable[[], None]]] = field(default_factory=list)
    held: dict[str, _Held] = field(default_factory=dict)
    drop: list[Row | HeldState] = field(default_factory=list)


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
        self._flushed_count = 0

    @property
    def pending_count(self) -> int:
        """Rows given and not yet written."""
        return self._given_count - self._done_count

    def put(self, tenant: str, row: Row, durable: Callable[[], None]) -> None:
        """Store a row; `durable` is called once it is there."""
        self._of(tenant).put.append((row, durable))
        self._given()

    def hold(self, tenant: str, state: HeldState, durable: Callable[[], None]) -> None:
        """Store a state in place of the one that is held of the entity; `durable` is called once it or a newer one is.

        Of one entity they are to be given in their order.
        """
        held = self._of(tenant).held
        waiting = held.get(state.id)
        if waiting is not None:
            waiting.state = state
            waiting.durable.append(durable)
            return
        held[state.id] = _Held(state, [durable])
        self._given()

    def drop(self, tenant: str, row: Row | HeldState) -> None:
        """Remove what has been delivered."""
        self._of(tenant).drop.append(row)
        self._given()

    async def flush(self) -> None:
        """Waits until all that was given so far is written."""
        mark = self._given_count
        async with self._written:
            await self._written.wait_for(lambda: self._flushed_count >= mark)

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
            given_count = self._given_count
            for tenant, writes in given.items():
                await self._write(tenant, writes)
            # Not by the number of writes that are done: they are done in another order than they were given in.
            self._flushed_count = given_count
            async with self._written:
                self._written.notify_all()

    async def _write(self, tenant: str, writes: _Writes) -> None:
        put: list[tuple[Row | HeldState, list[Callable[[], None]]]] = [(row, [durable]) for row, durable in writes.put]
        put += [(held.state, held.durable) for held in writes.held.values()]
        for start in range(0, max(len(put), len(writes.drop)), _WRITE_COUNT):
            part, drop = put[start : start + _WRITE_COUNT], writes.drop[start : start + _WRITE_COUNT]
            await self._until_written(tenant, [row for row, _ in part], drop)
            for _, callers in part:
                for durable in callers:
                    durable()
            self._done_count += len(part) + len(drop)
            async with self._written:
                self._written.notify_all()

    async def _until_written(self, tenant: str, put: list[Row | HeldState], drop: list[Row | HeldState]) -> None:
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
