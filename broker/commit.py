"""Group commit: the only place that writes entities (docs/decisions/0001-group-commit.md).

While one flush is on its way to the storage, the next batch of requests gathers; there is no timer, so an idle broker
answers a lone request in one flush and a busy one writes hundreds at a time. A flush

1. reads the entities that are not in the cache (one round trip),
2. applies the requests in the order of their arrival with the pure functions of `ngsi.patch`,
3. writes each changed entity once, on condition that its revision is still the one it was made from (one round trip),
4. tells the callers. Nothing is acknowledged before it is durable.

Another process may have written an entity meanwhile. Its revision then differs, and just the requests for that entity
are applied anew to what is there now. For the same reason an outcome that writes nothing (an error, "no change") is
believed only of a state that was read in this very flush.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog

from broker import metrics
from broker.errors import Overloaded, StorageUnavailable, WriteConflict
from broker.storage.base import EntityStore, Stored, Write
from ngsi.changes import Before, Change
from ngsi.entity import Entity
from ngsi.errors import NgsiError
from ngsi.patch import Patch, Patched

_ATTEMPTS_MAX = 20
"""How often a request is applied anew because another process wrote its entity first."""

_TRUST_S = 60.0
"""How long a cached state may serve as the base of a write. Far below the life of a tombstone in the storage, so that
no write can bring back an entity whose deletion has been forgotten."""

_ABSENT = Stored(None, 0)

_log = structlog.get_logger()

Outcome = Patched | NgsiError


class Ticket:
    """What one API request waits for: the outcomes of its patches, in their order."""

    __slots__ = ("_future", "_outcomes", "_remaining", "request")

    def __init__(self, request: str, count: int) -> None:
        self.request = request
        self._outcomes: list[Any] = [None] * count
        self._remaining = count
        self._future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()

    def settle(self, index: int, outcome: Outcome) -> None:
        """Notes the outcome of one patch, the first one told; the last patch wakes the caller."""
        if self._outcomes[index] is not None:
            return
        self._outcomes[index] = outcome
        self._remaining -= 1
        if not self._remaining and not self._future.done():
            self._future.set_result(self._outcomes)

    async def outcomes(self) -> list[Outcome]:
        """Waits for all outcomes."""
        return await self._future


@dataclass(slots=True)
class Pending:
    """A patch that waits for its flush, and where its outcome goes."""

    entity_id: str
    patch: Patch
    ticket: Ticket
    index: int
    is_creation: bool
    attempts: int = 0


@dataclass(slots=True)
class Group:
    """The requests of one flush for one entity, and what came of them."""

    base: Stored
    is_fresh: bool
    pending: list[Pending]
    outcomes: list[Outcome] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    entity: Entity | None = None


class Committer:
    """The writer of one tenant's entities. `clock` gives the present as a system timestamp."""

    def __init__(
        self, store: EntityStore, clock: Callable[[], str], *, queue_count: int, flush_count: int, cache_count: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._queue_count = queue_count
        self._flush_count = flush_count
        self._cache = _Cache(cache_count)
        self._queue: deque[Pending] = deque()
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def submit(self, entity_id: str, patch: Patch, request: str, *, is_creation: bool = False) -> Patched:
        """Applies one patch durably. Raises the NgsiError of the patch, Overloaded or StorageUnavailable.

        `is_creation`: the entity is expected to be absent, so the first attempt is made without reading it.
        """
        (outcome,) = await self.submit_all([(entity_id, patch)], request, are_creations=is_creation)
        if isinstance(outcome, NgsiError):
            raise outcome
        return outcome

    async def submit_all(
        self, patches: Sequence[tuple[str, Patch]], request: str, *, are_creations: bool = False
    ) -> list[Outcome]:
        """Applies patches in their order, each on its own, and gives the outcome of each. Raises Overloaded."""
        if len(self._queue) + len(patches) > self._queue_count and self._queue:
            metrics.COMMIT_REFUSED.inc(len(patches))
            raise Overloaded(
                f"{len(self._queue)} writes are waiting already, more than {self._queue_count}; come back later"
            )
        ticket = Ticket(request, len(patches))
        for index, (entity_id, patch) in enumerate(patches):
            self._queue.append(Pending(entity_id, patch, ticket, index, are_creations))
        self._arrived.set()
        return await ticket.outcomes()

    async def close(self) -> None:
        """Finishes what is queued, then stops."""
        await self._drained.wait()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._drained.clear()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._flush_count))]
            if not self._queue:
                self._arrived.clear()
            metrics.COMMIT_FLUSH_REQUESTS.observe(len(batch))
            started = monotonic()
            try:
                await self._flush(batch)
            except StorageUnavailable as exc:
                self._fail(batch, exc)
            except Exception as exc:
                _log.exception("commit.flush_failed", requests=len(batch))
                self._fail(batch, NgsiError(f"The write failed inside the broker: {type(exc).__name__}"))
            metrics.COMMIT_FLUSH_SECONDS.observe(monotonic() - started)
            if not self._queue:
                self._drained.set()

    async def _flush(self, batch: list[Pending]) -> None:
        by_id: dict[str, list[Pending]] = {}
        for pending in batch:
            by_id.setdefault(pending.entity_id, []).append(pending)
        groups = await self._based(by_id)
        now = self._clock()
        for group in groups.values():
            apply(group, now)
        doubtful = [entity_id for entity_id, group in groups.items() if not group.changes and not group.is_fresh]
        if doubtful:
            for entity_id, base in (await self._read(doubtful)).items():
                groups[entity_id] = group = Group(base, True, by_id[entity_id])
                apply(group, now)
        await self._write(groups)

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

    async def _write(self, groups: dict[str, Group]) -> None:
        changed = [(entity_id, group) for entity_id, group in groups.items() if group.changes]
        writes = [Write(entity_id, group.base.rev, group.entity, group.changes) for entity_id, group in changed]
        failures = await self._store.write(writes) if writes else {}
        for index, (entity_id, group) in enumerate(changed):
            if index not in failures:
                self._cache.put(entity_id, Stored(group.entity, group.base.rev + 1))
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
                    await self._flush([pending])
        if again:
            self._retry(again)

    def _retry(self, pending: list[Pending]) -> None:
        """Puts requests back at the head of the queue, so that they keep their place before later ones."""
        metrics.COMMIT_CONFLICTS.inc(len(pending))
        tired = [item for item in pending if item.attempts >= _ATTEMPTS_MAX]
        for item in tired:
            item.ticket.settle(
                item.index,
                Overloaded(f"Entity {item.entity_id} is written by too many processes at once; come back later"),
            )
        kept = [item for item in pending if item.attempts < _ATTEMPTS_MAX]
        for item in kept:
            item.attempts += 1
        self._queue.extendleft(reversed(kept))
        self._arrived.set()

    def _fail(self, batch: list[Pending], error: NgsiError) -> None:
        for pending in batch:
            self._cache.drop(pending.entity_id)
            pending.ticket.settle(pending.index, error)


def _is_first_creation(pending: Pending) -> bool:
    """Whether the entity may be taken for absent; the conditional write finds out if it is not."""
    return pending.is_creation and not pending.attempts


def apply(group: Group, now: str) -> None:
    """Applies the requests of a group one after the other to its base state."""
    state = group.base.entity
    for pending in group.pending:
        at = now if state is None or state.modified_at < now else state.modified_at
        try:
            patched = pending.patch(state, at)
        except NgsiError as exc:
            group.outcomes.append(exc)
            continue
        group.outcomes.append(patched)
        if patched.entity is not state:
            group.changes.append(_change(pending.ticket.request, at, state, patched, is_first=not group.changes))
            state = patched.entity
    group.entity = state


def _change(request: str, at: str, old: Entity | None, patched: Patched, *, is_first: bool) -> Change:
    """The record of one request's effect; what it overwrote is kept where a later reader needs it.

    That is to go back over it to an earlier state, and to tell subscribers of what kind a deleted attribute was.
    """
    if old is None:
        return Change(request, at, "created")
    if patched.entity is None:
        before = Before(dict(old.attributes), old.types, old.scopes, old.modified_at, old.created_at, old.expires_at)
        return Change(request, at, "deleted", before=before)
    if is_first and not any(event == "deleted" for event, _, _ in patched.changes):
        return Change(request, at, "updated", patched.changes)
    overwritten = {key: old.attributes.get(key) for _, key, _ in patched.changes}
    before = Before(overwritten, old.types, old.scopes, old.modified_at, old.created_at, old.expires_at)
    return Change(request, at, "updated", patched.changes, before)


class _Cache:
    """The latest states that this process wrote, least recently used ones dropped."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._states: OrderedDict[str, tuple[float, Stored]] = OrderedDict()

    def get(self, entity_id: str) -> Stored | None:
        item = self._states.get(entity_id)
        if item is None or monotonic() - item[0] > _TRUST_S:
            return None
        self._states.move_to_end(entity_id)
        return item[1]

    def put(self, entity_id: str, state: Stored) -> None:
        self._states[entity_id] = (monotonic(), state)
        self._states.move_to_end(entity_id)
        if len(self._states) > self._count:
            self._states.popitem(last=False)

    def drop(self, entity_id: str) -> None:
        self._states.pop(entity_id, None)
