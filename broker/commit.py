"""Group commit: the only place that writes entities (docs/decisions/0001-group-commit.md).

While a flush is on its way to the storage, the next batch of requests gathers; there is no timer, so an idle broker
answers a lone request in one flush and a busy one writes hundreds at a time. Two flushes can be under way, never with
an entity in common, so that this process and the storage work at the same time. A flush

1. reads the entities that are not in the cache (one round trip),
2. applies the requests in the order of their arrival with the pure functions of `ngsi.patch`,
3. writes each changed entity once, on condition that its revision is still the one it was made from (one round trip),
4. tells the callers. Nothing is acknowledged before it is durable.

Another process may have written an entity meanwhile. Its revision then differs, and just the requests for that entity
are applied anew to what is there now. For the same reason an outcome that writes nothing (an error, "no change") is
believed only of a state that was read in this very flush.
"""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

import structlog

from broker import metrics
from broker.commit_cache import StateCache
from broker.commit_group import Group, apply, count_parts
from broker.commit_queue import Pending, PendingQueue
from broker.commit_ticket import Outcome, Ticket
from broker.errors import Overloaded, StorageUnavailable, WriteConflict
from broker.storage.base import EntityStore, Stored, Write
from broker.turns import Turns
from ngsi.errors import NgsiError, NonexistentTenant
from ngsi.patch import Patch, Patched

_ATTEMPTS_MAX = 20
"""How often a request is applied anew because another process wrote its entity first."""

_FLIGHTS_MAX = 2
"""Flushes under way at a time: while the storage works on one, this process prepares the next (docs/benchmarks.md)."""

_SECOND_FLIGHT_REQUESTS = 8
"""Requests that must wait for a second flush to start beside the first: a small one would only cost a round trip."""

_ABSENT = Stored(None, 0)

_log = structlog.get_logger()


class Committer:
    """The writer of one tenant's entities. `clock` gives the present as a system timestamp."""

    def __init__(
        self, store: EntityStore, clock: Callable[[], str], *, queue_count: int, flush_count: int, cache_bytes: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._queue_count = queue_count
        self._flush_count = flush_count
        self._has_failed = False
        self._cache = StateCache(cache_bytes)
        self._queue = PendingQueue()
        self._loop = asyncio.get_running_loop()
        self._flights: set[asyncio.Task[None]] = set()
        self._is_start_planned = False
        self._drained = asyncio.Event()
        self._drained.set()

    async def submit(
        self, entity_id: str, patch: Patch, request: str, *, is_creation: bool = False, size_bytes: int = 0
    ) -> Patched:
        """Applies one patch durably. Raises the NgsiError of the patch, Overloaded or StorageUnavailable.

        `is_creation`: the entity is expected to be absent, so the first attempt is made without reading it.
        `size_bytes` is the size of the request, from which the memory of the state is estimated.
        """
        patches = [(entity_id, patch)]
        (outcome,) = await self.submit_all(patches, request, are_creations=is_creation, size_bytes=size_bytes)
        if isinstance(outcome, NgsiError):
            raise outcome
        return outcome

    async def submit_all(
        self,
        patches: Sequence[tuple[str, Patch]],
        request: str,
        *,
        are_creations: bool = False,
        size_bytes: int = 0,
    ) -> list[Outcome]:
        """Applies patches in their order, each on its own, and gives the outcome of each. Raises Overloaded."""
        if len(self._queue) + len(patches) > self._queue_count and len(self._queue):
            metrics.COMMIT_REFUSED.inc(len(patches))
            raise Overloaded(
                f"{len(self._queue)} writes are waiting already, more than {self._queue_count}; come back later"
            )
        ticket = Ticket(request, len(patches))
        share_bytes = size_bytes // len(patches)
        self._queue.add(
            Pending(entity_id, patch, ticket, index, are_creations, share_bytes)
            for index, (entity_id, patch) in enumerate(patches)
        )
        self._drained.clear()
        self._plan_start()
        return await ticket.outcomes()

    async def close(self) -> None:
        """Finishes what is queued."""
        await self._drained.wait()

    def _plan_start(self) -> None:
        """Starts flushes at the end of this round of the loop, so that requests that arrived together go together."""
        if not self._is_start_planned:
            self._is_start_planned = True
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._is_start_planned = False
        while len(self._flights) < _FLIGHTS_MAX and (ready := self._queue.ready_count):
            if self._flights and ready < _SECOND_FLIGHT_REQUESTS:
                break
            batch = self._queue.take(self._flush_count)
            if not batch:
                break  # all that is ready waits for the flush under way
            flight = self._loop.create_task(self._fly(batch))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)
        if not self._flights and not len(self._queue):
            self._drained.set()

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self._start()

    async def _fly(self, batch: list[Pending]) -> None:
        """One flush, whatever becomes of it: each of its requests is answered or waits again."""
        metrics.COMMIT_FLUSH_REQUESTS.observe(len(batch))
        started = monotonic()
        again: list[Pending] = []
        try:
            again = await self._flush(self._in_order(batch))
        except (StorageUnavailable, NonexistentTenant) as exc:
            self._fail(batch, exc)
        except Exception as exc:
            _log.exception("commit.flush_failed", requests=len(batch))
            self._fail(batch, NgsiError(f"The write failed inside the broker: {type(exc).__name__}"))
        finally:
            self._queue.release(batch, again)
        metrics.COMMIT_FLUSH_SECONDS.observe(monotonic() - started)

    async def _flush(self, batch: list[Pending]) -> list[Pending]:
        """Reads, applies, writes, answers; gives the requests to be tried again, because another process wrote."""
        by_id: dict[str, list[Pending]] = {}
        for pending in batch:
            by_id.setdefault(pending.entity_id, []).append(pending)
        groups = await self._based(by_id)
        now = self._clock()
        turns = Turns()
        for group in groups.values():
            apply(group, now)
            await turns.take()
        doubtful = [entity_id for entity_id, group in groups.items() if not group.changes and not group.is_fresh]
        if doubtful:
            for entity_id, base in (await self._read(doubtful)).items():
                groups[entity_id] = group = Group(base, True, by_id[entity_id])
                apply(group, now)
        return await self._write(groups)

    async def _based(self, by_id: dict[str, list[Pending]]) -> dict[str, Group]:
        cached = {entity_id: self._cache.get(entity_id) for entity_id in by_id}
        unknown = [
            entity_id
            for entity_id, base in cached.items()
            if base is None and not _is_first_creation(by_id[entity_id][0])
        ]
        fresh = await self._read(unknown) if unknown else {}
        return {
            entity_id: Group(cached[entity_id] or fresh.get(entity_id, _ABSENT), entity_id in fresh, pending)
            for entity_id, pending in by_id.items()
        }

    async def _read(self, ids: list[str]) -> dict[str, Stored]:
        found = await self._store.read(ids)
        return {entity_id: found.get(entity_id, _ABSENT) for entity_id in ids}

    async def _write(self, groups: dict[str, Group]) -> list[Pending]:
        count_parts(groups.values())
        changed = [(entity_id, group) for entity_id, group in groups.items() if group.changes]
        writes = [
            Write(entity_id, group.base.rev, group.entity, group.changes, group.due) for entity_id, group in changed
        ]
        failures = await self._store.write(writes) if writes else {}
        for index, (entity_id, group) in enumerate(changed):
            if index not in failures:
                written_bytes = sum(pending.size_bytes for pending in group.pending)
                self._cache.put(entity_id, Stored(group.entity, group.base.rev + 1, group.due), written_bytes)
        refused = {changed[index][0]: error for index, error in failures.items()}
        again: list[Pending] = []
        for entity_id, group in groups.items():
            error = refused.get(entity_id)
            if error is None:
                for pending, outcome in zip(group.pending, group.outcomes, strict=True):
                    pending.ticket.settle(pending.index, outcome)
                continue
            self._cache.drop(entity_id)
            if isinstance(error, WriteConflict):
                again += group.pending
            elif len(group.pending) == 1:
                group.pending[0].ticket.settle(group.pending[0].index, error)
            else:
                # The state that cannot be stored must not cost the other requests for the entity: each goes alone.
                for pending in group.pending:
                    again += await self._flush([pending])
        return _not_tired(again)

    def _in_order(self, batch: list[Pending]) -> list[Pending]:
        """Without patches whose forerunner, of one request and entity, has failed: repeated, it would come later."""
        if not self._has_failed:
            return batch
        kept: list[Pending] = []
        for pending in batch:
            if (error := pending.ticket.given_up.get(pending.entity_id)) is None:
                kept.append(pending)
            else:
                pending.ticket.settle(pending.index, error)
        return kept

    def _fail(self, batch: list[Pending], error: NgsiError) -> None:
        self._has_failed = True
        for pending in batch:
            self._cache.drop(pending.entity_id)
            pending.ticket.given_up[pending.entity_id] = error
            pending.ticket.settle(pending.index, error)


def _not_tired(pending: list[Pending]) -> list[Pending]:
    """Those of the requests to be tried again that have not been tried too often; the others are answered."""
    metrics.COMMIT_CONFLICTS.inc(len(pending))
    kept: list[Pending] = []
    for item in pending:
        item.attempts += 1
        if item.attempts <= _ATTEMPTS_MAX:
            kept.append(item)
        else:
            problem = f"Entity {item.entity_id} is written by too many processes at once; come back later"
            item.ticket.settle(item.index, Overloaded(problem))
    return kept


def _is_first_creation(pending: Pending) -> bool:
    """Whether the entity may be taken for absent; the conditional write finds out if it is not."""
    return pending.is_creation and not pending.attempts
