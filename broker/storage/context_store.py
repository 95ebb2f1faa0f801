"""What the broker asks of the storage of @contexts (clause 5.13): one store for all tenants and processes."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["Hosted", "Cached", "ImplicitlyCreated"]


@dataclass(frozen=True, slots=True)
class ContextRecord:
    """One stored @context. Times are system timestamps.

    `url` is the address that a Cached one was fetched from, None for those of this broker; `tenants` who may see it
    (None: everybody); `text` the value of `@context` as JSON, empty where the document lies in a preloaded folder;
    `hit_count` how often it was used.
    """

    id: str
    kind: Kind
    url: str | None
    tenants: tuple[str, ...] | None
    text: str
    created_at: str
    expires_at: str | None = None
    last_usage: str | None = None
    hit_count: int = 0


class ContextStore(ABC):
    """The stored @contexts. Every method raises StorageUnavailable when the storage does not answer."""

    @abstractmethod
    async def get(self, context_id: str) -> ContextRecord | None:
        """The @context with this id, whichever tenant's it is."""

    @abstractmethod
    async def put(self, record: ContextRecord) -> None:
        """Stores an @context durably; its counters go on where it was stored before."""

    @abstractmethod
    async def share(self, record: ContextRecord) -> None:
        """Stores an @context unless it is there, lets the tenants of the record see it too, and notes when it was."""

    @abstractmethod
    async def unused(self, since: str, count_max: int) -> Sequence[ContextRecord]:
        """The Cached and ImplicitlyCreated ones not used since that time, and those over a number, without their text.

        The least recently used come first; a thousand at the most.
        """

    @abstractmethod
    def find(self, tenant: str, kind: Kind | None) -> AsyncGenerator[ContextRecord]:
        """The @contexts that a tenant sees, of one kind or all, oldest first, without their text.

        Who leaves off early closes the generator.
        """

    @abstractmethod
    async def delete(self, context_id: str) -> bool:
        """Removes an @context; False if there was none."""

    @abstractmethod
    async def count(self, uses: Mapping[str, int], now: str, missing: Iterable[ContextRecord] = ()) -> None:
        """Adds to the numbers of hits by id and sets the time of the last usage.

        Those of the records `missing` that are not stored yet are stored first; ids of no stored @context are ignored.
        """

    @abstractmethod
    async def expiries(self, ids: Sequence[str]) -> Mapping[str, str | None]:
        """Id → time of expiry (None: none) of those of the ids that are stored: it tells whether a copy is current."""

    @abstractmethod
    async def version(self) -> int:
        """A number that grows when any process deletes an @context or stores one anew; cheap to ask."""

    @abstractmethod
    async def forget_tenant(self, tenant: str) -> None:
        """Removes the @contexts that only this tenant sees, and hides what others see too from its successor."""
