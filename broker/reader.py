"""Reads by id, grouped: while one read is on its way to the storage, the next ids gather for one round trip."""

import asyncio
from collections.abc import Callable, Sequence

from broker.storage.base import EntityStore, Stored
from ngsi import expiry
from ngsi.entity import Entity

_IDS_MAX = 256


class Reader:
    """Reads entities of one tenant by id, without what has expired.

    It sees every write that was acknowledged before the call, by any process.
    """

    def __init__(self, store: EntityStore, clock: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[Entity | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, entity_id: str) -> Entity | None:
        """The entity, None if there is none. Raises StorageUnavailable."""
        future = self._waiting.get(entity_id)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._waiting[entity_id] = loop.create_future()
            if self._task is None:
                self._task = loop.create_task(self._run())
        # A caller that gives up must not take the answer away from the others that wait for the same id.
        return await asyncio.shield(future)

    async def get_all(self, ids: Sequence[str]) -> list[Entity]:
        """Those of the entities that exist, in the order of the ids; one round trip. Raises StorageUnavailable."""
        found = await self._store.read(ids)
        return [entity for known in ids if known in found and (entity := self._living(found[known])) is not None]

    async def _run(self) -> None:
        while self._waiting:
            ids = list(self._waiting)[:_IDS_MAX]
            futures = {entity_id: self._waiting.pop(entity_id) for entity_id in ids}
            try:
                found = await self._store.read(ids)
            except Exception as exc:
                for future in futures.values():
                    future.set_exception(exc)
                    future.exception()  # a caller that has gone away leaves no "never retrieved" behind
                continue
            for entity_id, future in futures.items():
                stored = found.get(entity_id)
                future.set_result(None if stored is None else self._living(stored))
        self._task = None

    def _living(self, stored: Stored) -> Entity | None:
        """What of it has not expired; almost always that takes no look at the clock."""
        if stored.due is None or stored.entity is None:
            return stored.entity
        now = self._clock()
        return stored.entity if stored.due > now else expiry.living(stored.entity, now)
