"""Deletes what has expired (clause 4.22), as a write like any other: subscribers are told, the revision counts on.

One process of a deployment does this at a time, by a lease; another takes over when it is gone. Nobody relies on it
for what is shown: whoever reads leaves out what has expired (`ngsi.expiry`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Final

import structlog

from broker.errors import BrokerError
from broker.storage.base import Storage
from broker.tasks import end
from broker.tenants import Tenants
from ngsi.entity import Entity
from ngsi.errors import NgsiError, NonexistentTenant
from ngsi.patch import Patched

_WORK = "reaper"
_EVERY_S: Final = 1.0
_LEASE_S: Final = 4.0
_BATCH_COUNT: Final = 500

_log = structlog.get_logger()


class Reaper:
    """Looks through the tenants every second for what has expired. `clock` gives the present."""

    def __init__(self, storage: Storage, tenants: Tenants, clock: Callable[[], str]) -> None:
        self._storage = storage
        self._tenants = tenants
        self._clock = clock
        self._holder = token_hex(8)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Works as long as the context lasts."""
        task = asyncio.get_running_loop().create_task(self.run())
        try:
            yield
        finally:
            await end([task])

    async def run(self) -> None:
        """Works until it is cancelled; what fails is tried again the next second."""
        while True:
            try:
                if await self._storage.hold(_WORK, self._holder, _LEASE_S):
                    await self.reap()
            except BrokerError as exc:
                _log.warning("reaper.waits", reason=exc.detail)
            except Exception:
                _log.exception("reaper.failed")
            await asyncio.sleep(_EVERY_S)

    async def reap(self) -> int:
        """Deletes everything that has expired by now, in all tenants; the number of entities that it concerned."""
        names = ["", *(record.name for record in await self._storage.tenants() if not record.is_leaving)]
        return sum([await self._reap_tenant(name) for name in names])

    async def _reap_tenant(self, name: str) -> int:
        entities = self._storage.entities(name)
        count = 0
        while True:
            ids = await entities.find_due(self._clock(), limit=_BATCH_COUNT)
            if not ids:
                return count
            try:
                tenant = await self._tenants.get(name, create=False)
            except NonexistentTenant:
                return count  # deleted meanwhile, with all that it had
            patches = [(known, _unchanged) for known in ids]
            outcomes = await tenant.committer.submit_all(patches, f"reaper-{token_hex(8)}")
            failed = [outcome for outcome in outcomes if isinstance(outcome, NgsiError)]
            count += len(ids) - len(failed)
            if failed:
                _log.warning("reaper.not_deleted", entities=len(failed), reason=failed[0].detail)
                return count
            if not await self._storage.hold(_WORK, self._holder, _LEASE_S):
                return count


def _unchanged(entity: Entity | None, now: str) -> Patched:
    """Nothing more is to be done: the committer deletes what has expired before every request."""
    return Patched(entity)
