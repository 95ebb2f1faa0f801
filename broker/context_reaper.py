"""Removes @contexts that nobody uses any more: Cached and ImplicitlyCreated ones come without being asked for.

A subscription of any tenant keeps what it names, used or not, and what that refers to. Everything else that goes comes
back when it is needed: from the web, or with the next request that has it inline. Hosted ones stay until they are
deleted.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from secrets import token_hex
from typing import Final

import orjson
import structlog

from broker.contexts import id_of, own_id
from broker.errors import BrokerError
from broker.storage.base import Storage
from broker.storage.context_store import ContextStore
from broker.tasks import end
from ngsi.context_source import references
from ngsi.datetimes import parse, system_text

UNUSED_DAYS: Final = 30
COUNT_MAX: Final = 100_000
"""How many are kept at the most, the least recently used go first."""
_WORK = "context reaper"
_EVERY_S: Final = 600.0

_log = structlog.get_logger()


class ContextReaper:
    """Looks through the stored @contexts, one process of a deployment at a time. `clock` gives the present."""

    def __init__(self, storage: Storage, clock: Callable[[], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._holder = token_hex(8)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Works as long as the context lasts."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            await end([task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                if await self._storage.hold(_WORK, self._holder, 2 * _EVERY_S):
                    await self.reap()
            except BrokerError as exc:
                _log.warning("contexts.not_reaped", reason=exc.detail)
            except Exception:
                _log.exception("contexts.reaper_failed")

    async def reap(self) -> int:
        """Removes what is not used; the number of @contexts that went."""
        store = self._storage.contexts()
        since = system_text(parse(self._clock()) - timedelta(days=UNUSED_DAYS))
        unused = await store.unused(since, COUNT_MAX)
        if not unused:
            return 0
        named: set[str] = set()
        for name in ["", *(record.name for record in await self._storage.tenants())]:
            named |= await self._storage.contexts_named(name)
        kept = await _with_inner(store, named)
        gone = [record for record in unused if record.id not in kept]
        for record in gone:
            await store.delete(record.id)
        if gone:
            _log.info("contexts.reaped", contexts=len(gone))
        return len(gone)


async def _with_inner(store: ContextStore, named: set[str]) -> set[str]:
    """The ids of the @contexts with these URLs, and of all that they refer to in turn."""
    level, kept = named, set[str]()
    while level:
        ids = {own_id(url) or id_of(url.encode()) for url in level} - kept
        kept |= ids
        records = [record for known in ids if (record := await store.get(known)) is not None and record.text]
        level = {url for record in records for url in references(orjson.loads(record.text))}
    return kept
