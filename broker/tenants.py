"""The tenants that this process works for, each with its committer and reader (clause 4.14)."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from broker.commit import Committer
from broker.reader import Reader
from broker.settings import Settings
from broker.storage.base import DocumentStore, EntityStore, Storage
from ngsi.errors import BadRequestData, NonexistentTenant
from ngsi.names import show

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(slots=True)
class Tenant:
    """What serves one tenant's requests. `name` is empty for the default tenant."""

    name: str
    committer: Committer
    reader: Reader
    entities: EntityStore
    subscriptions: DocumentStore


class Tenants:
    """Finds the tenant of a request, and creates it for the operations that may."""

    def __init__(self, storage: Storage, settings: Settings, clock: Callable[[], str]) -> None:
        self._storage = storage
        self._settings = settings
        self._clock = clock
        self._served: dict[str, Tenant] = {}
        self._created: set[str] = set()

    async def get(self, name: str, *, create: bool) -> Tenant:
        """The tenant of that name. Raises NonexistentTenant, or creates it if `create`; StorageUnavailable."""
        if create:
            if name not in self._created:
                await self._storage.create_tenant(name)
                self._created.add(name)
        elif name not in self._created and name and not await self._storage.has_tenant(name):
            raise NonexistentTenant(f"Tenant {name} does not exist; it is created by the first entity or subscription")
        return self._served.get(name) or self._serve(name)

    def _serve(self, name: str) -> Tenant:
        entities = self._storage.entities(name)
        settings = self._settings
        committer = Committer(
            entities,
            self._clock,
            queue_count=settings.queue_count,
            flush_count=settings.flush_count,
            cache_count=settings.cache_count,
        )
        tenant = Tenant(name, committer, Reader(entities), entities, self._storage.subscriptions(name))
        self._served[name] = tenant
        return tenant

    async def close(self) -> None:
        """Finishes the writes that are queued."""
        for tenant in self._served.values():
            await tenant.committer.close()


def require_tenant_name(name: str) -> str:
    """The tenant name itself if it can name a database, or is empty; otherwise BadRequestData."""
    if name and _NAME.fullmatch(name) is None:
        raise BadRequestData(
            f"NGSILD-Tenant {show(name)} is not a tenant name: up to 40 lower-case letters, digits, '-' and '_', "
            "starting with a letter or a digit"
        )
    return name
