"""Linked entities for the subscriptions that look at them: in their q, and in what `join` adds to a notification.

They are read when the event is evaluated (clause 5.8.6), as the storage has them then: for all that a batch of the feed
needs at once, each of them once. Subscriptions that look at the changed entity only never come here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from broker.errors import StorageUnavailable
from broker.notify import metrics
from broker.notify.state import State
from broker.notify.subscriber import Subscriber
from ngsi.entity import Entity
from ngsi.errors import TooManyResults

READ_MAX = 1000
"""Entities read in one round trip."""

_RETRY_S = 1.0
_LEVELS_MAX = 20
_AT_ONCE = 1000

Read = Callable[[str, Sequence[str]], Awaitable[dict[str, Entity]]]
"""(tenant, ids) → the living entities among them, by id. Raises StorageUnavailable."""

log = structlog.get_logger(__name__)


class Linking:
    """Changes that subscribers are to be told of if linked entities agree, or together with these."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._waiting: list[tuple[Subscriber, State]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, subscriber: Subscriber, state: State) -> None:
        """The change has met all but what its subscription says of linked entities."""
        self._waiting.append((subscriber, state))

    async def settled(self) -> list[tuple[Subscriber, State]]:
        """Those that are to be told, in their order, their linked entities fetched. Waits until the storage answers."""
        waiting, self._waiting = self._waiting, []
        known = {subscriber.tenant: _Fetched(self._read, subscriber.tenant) for subscriber, _ in waiting}
        try:
            agreed = await _each(_agrees, waiting, known)
            told = [item for item, agrees in zip(waiting, agreed, strict=True) if agrees is True]
            # One rendering serves all subscribers with the same view.
            joined = {(id(state), subscriber.view.key): (subscriber, state) for subscriber, state in told}
            await _each(_join, list(joined.values()), known)
        finally:
            for fetched in known.values():
                fetched.close()
        return told


async def _each(
    work: Callable[[Subscriber, State, "_Fetched"], Awaitable[bool]],
    items: Sequence[tuple[Subscriber, State]],
    known: Mapping[str, "_Fetched"],
) -> list[bool | BaseException]:
    """What the work gives for each item; many are under way at once, so that they share their round trips."""
    results: list[bool | BaseException] = []
    for start in range(0, len(items), _AT_ONCE):
        part = items[start : start + _AT_ONCE]
        results += await asyncio.gather(
            *(work(subscriber, state, known[subscriber.tenant]) for subscriber, state in part), return_exceptions=True
        )
    for problem in results:
        if isinstance(problem, BaseException):
            # One entity that cannot be shown must not stop the feed for all others.
            metrics.UNREADABLE.inc()
            log.error("linked entities not understood", exc_info=problem)
    return results


async def _agrees(subscriber: Subscriber, state: State, fetched: "_Fetched") -> bool:
    """Whether the linked entities meet what q says of them."""
    condition = subscriber.criteria.condition
    if condition is None or not condition.is_linked:
        return True
    is_met = False
    for _ in range(_LEVELS_MAX):
        missing: set[str] = set()
        is_met = condition.holds_with(state.entity, fetched.lookup(missing))
        if not missing:
            break
        await fetched.get_all(list(missing))
    return is_met


async def _join(subscriber: Subscriber, state: State, fetched: "_Fetched") -> bool:
    """Fetches what the subscriber wants to see besides the entity; it is told without if that is too much."""
    try:
        await state.join(subscriber, fetched.get_all)
    except TooManyResults as exc:
        log.warning("linked entities not shown", subscription=subscriber.id, entity=state.entity.id, reason=exc.detail)
        return False
    return True


class _Fetched:
    """The entities of one tenant that were needed so far. What is asked for at the same time is read together."""

    def __init__(self, read: Read, tenant: str) -> None:
        self._read = read
        self._tenant = tenant
        self._known: dict[str, Entity | None] = {}
        self._wanted: set[str] = set()
        self._reading: asyncio.Task[None] | None = None
        self._is_closed = False

    def lookup(self, missing: set[str]) -> Callable[[str], Entity | None]:
        """Gives entities that are here; notes the ids of those that are yet to be read."""

        def find(entity_id: str) -> Entity | None:
            if entity_id not in self._known:
                missing.add(entity_id)
            return self._known.get(entity_id)

        return find

    async def get_all(self, ids: Sequence[str]) -> list[Entity]:
        """Those of the entities that exist."""
        while wanted := [entity_id for entity_id in ids if entity_id not in self._known]:
            self._wanted.update(wanted)
            if self._reading is None:
                self._reading = asyncio.create_task(self._fetch())
            await asyncio.shield(self._reading)
        return [entity for entity_id in ids if (entity := self._known[entity_id]) is not None]

    def close(self) -> None:
        """Nobody waits for what is being read any more."""
        self._is_closed = True
        if self._reading is not None:
            self._reading.cancel()

    async def _fetch(self) -> None:
        # The others of the batch say in this round of the loop what they want.
        await asyncio.sleep(0)
        ids, self._wanted = list(self._wanted), set()
        try:
            for start in range(0, len(ids), READ_MAX):
                part = ids[start : start + READ_MAX]
                found = await self._tried(part)
                self._known.update((entity_id, found.get(entity_id)) for entity_id in part)
        finally:
            self._reading = None

    async def _tried(self, ids: Sequence[str]) -> dict[str, Entity]:
        while True:
            try:
                return await self._read(self._tenant, ids)
            except StorageUnavailable as exc:
                if self._is_closed:  # the driver has swallowed the cancellation, see `broker.tasks`
                    raise
                log.warning("linked entities not read", reason=exc.detail, retry_in_s=_RETRY_S)
                await asyncio.sleep(_RETRY_S)
