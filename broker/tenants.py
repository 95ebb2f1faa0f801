"""The tenants that this process works for, each with its committer and reader (clause 4.14).

A process may take it for granted for `LEASE_S` that a tenant is there; then it looks again, before it reads or writes
anything of it. A deletion marks the tenant as leaving, lets the leases of all processes run out, and only then removes
the data. So when it is answered, no process serves the tenant any more, and none pays a look-up for each request.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from broker.commit import Committer
from broker.entity_maps import EntityMaps
from broker.reader import Reader
from broker.settings import Settings
from broker.storage.base import DocumentStore, EntityStore, Storage, TenantRecord
from ngsi.errors import BadRequestData, NonexistentTenant
from ngsi.names import show

LEASE_S = 1.0
MARGIN_S = 0.5
"""What a write that was sent at the very end of a lease may take to arrive."""

_NAME_BYTES_MAX = 40
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_STRANGE = frozenset(" ,\ufffd")


@dataclass(slots=True)
class Lease:
    """Until when (in the monotonic time of this process) this incarnation of a tenant is known to be there."""

    incarnation: str
    until: float


@dataclass(slots=True)
class Tenant:
    """What serves one tenant's requests. `name` is empty for the default tenant."""

    name: str
    committer: Committer
    reader: Reader
    entities: EntityStore
    subscriptions: DocumentStore
    entity_maps: EntityMaps
    lease: Lease


class Tenants:
    """Finds the tenant of a request, and creates it for the operations that may."""

    def __init__(self, storage: Storage, settings: Settings, clock: Callable[[], str]) -> None:
        self._storage = storage
        self._settings = settings
        self._clock = clock
        self._served: dict[str, Tenant] = {}
        self._looking: dict[tuple[str, bool], asyncio.Task[Tenant]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def get(self, name: str, *, create: bool) -> Tenant:
        """The tenant of that name. Raises NonexistentTenant, or creates it if `create`; StorageUnavailable."""
        served = self._served.get(name)
        if served is not None and monotonic() < served.lease.until:
            return served
        looking = self._looking.get((name, create))
        if looking is None:
            looking = asyncio.get_running_loop().create_task(self._look_up(name, create=create))
            self._looking[name, create] = looking
            looking.add_done_callback(lambda task: self._looked_up(name, create, task))
        return await asyncio.shield(looking)

    def _looked_up(self, name: str, create: bool, task: asyncio.Task[Tenant]) -> None:
        del self._looking[name, create]
        if not task.cancelled():
            task.exception()  # callers that have gone away leave no "never retrieved" behind

    async def _look_up(self, name: str, *, create: bool) -> Tenant:
        served = self._served.get(name)
        asked_at = monotonic()
        found = await self._storage.incarnation(name) if name else None
        if found is None or served is None:
            if found is None and name and not create:
                self._end(name)
                raise _unknown(name)
            if create or not name:
                found = await self._storage.create_tenant(name, self._clock())
        assert found is not None
        return self._serve(name, found, asked_at)

    async def list(self) -> list[TenantRecord]:
        """All tenants but the default one."""
        return await self._storage.tenants()

    async def delete(self, name: str) -> None:
        """Deletes a tenant with all it has. When this returns no process serves it. Raises NonexistentTenant."""
        if not await self._storage.mark_leaving(name):
            raise _unknown(name)
        self._end(name)
        await asyncio.sleep(LEASE_S + MARGIN_S)
        await self._storage.contexts().forget_tenant(name)
        await self._storage.remove_tenant(name)

    async def close(self) -> None:
        """Finishes the writes that are queued."""
        for name in list(self._served):
            self._end(name)
        await asyncio.gather(*self._ending)

    def _serve(self, name: str, incarnation: str, asked_at: float) -> Tenant:
        until = asked_at + LEASE_S if name else float("inf")
        served = self._served.get(name)
        if served is not None and served.lease.incarnation == incarnation:
            served.lease.until = max(served.lease.until, until)
            return served
        self._end(name)
        self._served[name] = made = self._make(name, Lease(incarnation, until))
        return made

    def _make(self, name: str, lease: Lease) -> Tenant:
        async def guard() -> None:
            if monotonic() >= lease.until:
                asked_at = monotonic()
                if await self._storage.incarnation(name) != lease.incarnation:
                    raise _unknown(name)
                lease.until = max(lease.until, asked_at + LEASE_S)

        guarding = guard if name else None
        entities = self._storage.entities(name, guarding)
        settings = self._settings
        committer = Committer(
            entities,
            self._clock,
            queue_count=settings.queue_count,
            flush_count=settings.flush_count,
            cache_bytes=settings.cache_bytes,
        )
        subscriptions = self._storage.subscriptions(name, guarding)
        maps = EntityMaps(self._storage.entity_maps(name, guarding), self._clock)
        return Tenant(name, committer, Reader(entities, self._clock), entities, subscriptions, maps, lease)

    def _end(self, name: str) -> None:
        """Serves the tenant no more; what is queued is finished, or refused where the tenant is gone."""
        served = self._served.pop(name, None)
        if served is not None:
            if name:
                served.lease.until = 0.0
            ending = asyncio.get_running_loop().create_task(served.committer.close())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


def _unknown(name: str) -> NonexistentTenant:
    return NonexistentTenant(f"Tenant {show(name)} does not exist; it is created by the first entity or subscription")


def tenant_name(header: bytes) -> str:
    """The tenant that a NGSILD-Tenant header names (UTF-8); BadRequestData if it cannot name one."""
    try:
        name = header.decode()
    except UnicodeDecodeError:
        name = header.decode("latin-1") + "\ufffd"
    size = sum(1 if byte in _PLAIN else 3 for byte in name.encode())
    if not name.isprintable() or not _STRANGE.isdisjoint(name) or size > _NAME_BYTES_MAX:
        raise BadRequestData(
            f"NGSILD-Tenant {show(name)} is not a tenant name: up to {_NAME_BYTES_MAX} bytes of UTF-8, of which all "
            "but lower-case letters, digits, '-' and '_' count three times; no spaces, commas or control characters"
        )
    return name
