"""Brings @contexts to hand from the store or the web, keeps them fresh, and counts their use (clause 5.13).

The store is shared by all processes. What one of them has fetched, all have; what one has deleted or loaded anew, the
others notice within `_TEND_EVERY_S`, by the version of the store; they look again every `_CHECK_EVERY_S` in any case.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import TypeVar
from uuid import uuid4

import orjson
import structlog

from broker.context_fetch import Fetched, Web
from broker.contexts import STORE_PATH, Contexts, Document, id_of, own_id, own_part
from broker.errors import ContextNotAtHand, StorageUnavailable
from broker.storage.context_store import ContextRecord, ContextStore
from broker.tasks import end
from ngsi.context import ContextSource
from ngsi.context_source import DEPTH_MAX, references
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text
from ngsi.errors import BadRequestData, LdContextNotAvailable, NgsiError
from ngsi.names import show

_TEND_EVERY_S = 1.0
_CHECK_EVERY_S = 5.0
_REFRESH_AGAIN_S = 60.0
_REFRESHES_COUNT = 8
_DOCUMENTS_MAX = 100
_KNOWN_S = 5.0
_KNOWN_COUNT_MAX = 10_000

Made = TypeVar("Made")

log = structlog.get_logger(__name__)


class ContextSupply:
    """The way of @contexts from the store and the web into `Contexts`. To be made inside the event loop."""

    def __init__(self, contexts: Contexts, store: ContextStore, web: Web, clock: Callable[[], str]) -> None:
        self._contexts = contexts
        self._store = store
        self._web = web
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._refreshes: set[asyncio.Task[None]] = set()
        self._counting = asyncio.Lock()
        self._known: dict[tuple[str, str], float] = {}

    async def load(self, sources: Iterable[ContextSource]) -> None:
        """Brings to hand what the @contexts refer to, also indirectly; what cannot be had is remembered as such.

        Many callers that need the same document wait for the same fetch. Raises StorageUnavailable.
        """
        level: set[str] = set()
        for source in sources:
            with suppress(BadRequestData):  # Whoever makes a context of it is told.
                level |= set(references(source))
        seen: set[str] = set()
        for _ in range(DEPTH_MAX):
            level -= seen
            seen |= level
            if not level or len(seen) > _DOCUMENTS_MAX:
                return
            await asyncio.gather(*(self._bring(item) for item in level if not self._contexts.is_at_hand(item)))
            found = [self._contexts.document(item) for item in level]
            level = {reference for document in found if document for reference in references(document.source)}

    async def add(self, source: ContextSource, tenant: str) -> str:
        """Stores a Hosted @context of a tenant; its id."""
        text = orjson.dumps(source).decode()
        record = ContextRecord(id_of(uuid4().bytes), "Hosted", None, (tenant,), text, self._clock())
        await self._store.put(record)
        return record.id

    async def offer(self, source: ContextSource, tenant: str) -> str:
        """Makes sure that an inline or composed @context can be had from the store (ImplicitlyCreated); its id."""
        text = own_part(source)
        context_id = id_of(text)
        now_s = monotonic()
        if self._known.get((context_id, tenant), 0.0) < now_s:
            await self._store.share(
                ContextRecord(context_id, "ImplicitlyCreated", None, (tenant,), text.decode(), self._clock())
            )
            if len(self._known) >= _KNOWN_COUNT_MAX:
                self._known.clear()
            self._known[context_id, tenant] = now_s + _KNOWN_S
        return context_id

    async def reload(self, url: str) -> None:
        """Fetches a Cached @context anew. On LdContextNotAvailable the former one stays."""
        if self._contexts.preloaded(url) is not None:
            return
        try:
            await self._keep(url, await self._web.fetch(url))
        except BadRequestData as exc:
            raise LdContextNotAvailable(exc.detail) from exc

    async def delete(self, record: ContextRecord) -> None:
        """Removes an @context from the store and from this process."""
        await self._store.delete(record.id)
        for reference, document in self._contexts.documents():
            if document.id == record.id:
                self._contexts.drop(reference)
        self._known = {key: until_s for key, until_s in self._known.items() if key[0] != record.id}

    @asynccontextmanager
    async def tended(self) -> AsyncIterator[None]:
        """Tends the @contexts until the block ends."""
        tending = asyncio.create_task(self._tend())
        try:
            yield
        finally:
            await end([tending])
            await self._close()

    async def write_hits(self) -> None:
        """Writes the hits counted so far to the store; StorageUnavailable leaves them for the next time."""
        async with self._counting:
            used = self._contexts.take_hits()
            if not used:
                return
            counts: dict[str, int] = {}
            for document in used:
                counts[document.id] = counts.get(document.id, 0) + document.hit_count
                document.hit_count = 0
            now = self._clock()
            first_used = [
                ContextRecord(document.id, "Cached", document.url, None, "", now)
                for document in used
                if document.is_preloaded
            ]
            try:
                await self._store.count(counts, now, first_used)
            except StorageUnavailable:
                for document in used:
                    document.hit_count += counts.pop(document.id, 0)
                raise

    async def _tend(self) -> None:
        """Counts, notices what other processes changed, and refreshes what is used and expired; for ever."""
        check_at_s, seen = monotonic() + _CHECK_EVERY_S, 0
        while True:
            await asyncio.sleep(_TEND_EVERY_S)
            try:
                await self.write_hits()
                version = await self._store.version()
                if version != seen or monotonic() >= check_at_s:
                    check_at_s = monotonic() + _CHECK_EVERY_S
                    await self.check()
                    seen = version
            except StorageUnavailable as exc:
                log.warning("contexts not tended", reason=exc.detail)
            self.refresh()

    async def check(self) -> None:
        """Drops what was deleted from the store, and takes over what was loaded anew."""
        held = self._contexts.documents()
        if not held:
            return
        expiries = await self._store.expiries([document.id for _, document in held])
        for reference, document in held:
            if document.id not in expiries:
                self._contexts.drop(reference)
            elif expiries[document.id] != document.expires_at:
                record = await self._store.get(document.id)
                if record is not None:
                    self._contexts.hold(reference, _document(record))

    def refresh(self) -> None:
        """Starts fetching again, in the background, what was used since the last time and has expired."""
        now, now_s = self._clock(), monotonic()
        for reference, document in self._contexts.documents():
            if document.expires_at is None or document.expires_at > now or not document.was_used:
                continue
            if now_s < document.fetch_not_before_s or len(self._refreshes) >= _REFRESHES_COUNT:
                continue
            document.was_used = False
            document.fetch_not_before_s = now_s + _REFRESH_AGAIN_S
            task = asyncio.create_task(self._refresh(reference))
            self._refreshes.add(task)
            task.add_done_callback(self._refreshes.discard)

    async def _close(self) -> None:
        """Ends what is under way and writes the last hits."""
        await end([*self._under_way.values(), *self._refreshes])
        with suppress(StorageUnavailable):
            await self.write_hits()
        await self._web.close()

    async def _bring(self, reference: str) -> None:
        """One document, whoever asks for it; the work goes on when one who asked goes away."""
        task = self._under_way.get(reference)
        if task is None:
            task = self._under_way[reference] = _started(self._bring_now(reference))
            task.add_done_callback(lambda _: self._under_way.pop(reference, None))
        await asyncio.shield(task)

    async def _bring_now(self, reference: str) -> None:
        own = own_id(reference)
        record = await self._store.get(own or id_of(reference.encode()))
        if record is not None and record.text:
            self._contexts.hold(reference, _document(record))
        elif reference.startswith(STORE_PATH):
            missing = LdContextNotAvailable(f"@context {show(reference)} does not exist on this broker")
            self._contexts.fail(reference, missing)
        else:
            try:
                fetched = await self._web.fetch(reference)
            except NgsiError as exc:
                log.warning("context not fetched", url=reference[:300], reason=exc.detail)
                self._contexts.fail(reference, exc)
            else:
                await self._keep(reference, fetched)

    async def _keep(self, url: str, fetched: Fetched) -> None:
        now = self._clock()
        expires_at = system_text(moment(now) + timedelta(seconds=fetched.lifetime_s))
        record = ContextRecord(id_of(url.encode()), "Cached", url, None, fetched.text.decode(), now, expires_at)
        try:
            await self._store.put(record)
        except StorageUnavailable as exc:
            log.warning("context not stored", url=url[:300], reason=exc.detail)
        self._contexts.hold(url, _document(record))

    async def _refresh(self, url: str) -> None:
        try:
            await self._keep(url, await self._web.fetch(url))
        except NgsiError as exc:
            log.warning("context not refreshed, served as it is", url=url[:300], reason=exc.detail)


class SuppliedContexts:
    """@contexts for one who can wait for them."""

    def __init__(self, contexts: Contexts, supply: ContextSupply) -> None:
        self._contexts = contexts
        self._supply = supply

    @property
    def generation(self) -> int:
        """See Contexts."""
        return self._contexts.generation

    async def supply(self, make: Callable[[Contexts], Made]) -> Made:
        """What `make` makes with the @contexts, after all that it needs was brought.

        Raises what `make` raises, LdContextNotAvailable if that never ends, and StorageUnavailable.
        """
        for _ in range(DEPTH_MAX):
            try:
                return make(self._contexts)
            except ContextNotAtHand as exc:
                await self._supply.load([exc.reference])
        raise LdContextNotAvailable("The @context refers to more documents than are kept at hand")


def _started(work: Coroutine[object, object, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    # Everybody who waited may have gone away: then its failure is nobody's concern.
    task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return task


def _document(record: ContextRecord) -> Document:
    tenants = frozenset(record.tenants or ()) if record.kind == "Hosted" else None
    source: ContextSource = orjson.loads(record.text)
    return Document(record.id, record.url, source, len(record.text), tenants, record.expires_at)
