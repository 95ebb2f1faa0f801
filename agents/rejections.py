"""Messages that could not be stored: counted, logged, and the latest kept where they can be looked at and replayed."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import structlog

from agents.errors import MeasureError, StoreUnavailable
from agents.metrics import Metrics
from agents.profile import Profile
from agents.pseudonyms import Pseudonyms
from agents.redaction import SHOWN_CHARACTERS, shown, shown_topic
from agents.storage.mongo_rejections import Kept, MongoRejections
from ngsi.datetimes import system_text

log = structlog.get_logger(__name__)

MAX_KEPT_BYTES = 64_000
"""A longer payload is shown, cut, and cannot be replayed."""
MAX_PENDING_COUNT = 1000
"""Rejections that may wait to be written to MongoDB; beyond that the oldest are only counted."""
WRITE_EVERY_S = 1.0
AGAIN_S = 0.5
FLUSH_WITHIN_S = 0.5
LOGGED_A_SECOND_COUNT = 20
"""Lines in the log; of a fleet that nobody has provisioned every message is rejected."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One message set aside. `payload` is cut, and masked where the profile bears identity."""

    at: str
    topic: str
    reason: str
    detail: str
    payload: str
    id: str = ""
    """By which it can be replayed; empty: it cannot."""


class Rejections:
    """The latest rejections; beyond `count` the oldest are dropped, their number stays in the metrics.

    `store`: where those of all agents are kept, None: in this process's memory only. Payloads that may bear identity
    (their profile says so, or no profile reads the topic) are never kept, so they cannot be replayed.
    """

    def __init__(
        self, count: int, pseudonyms: Pseudonyms, metrics: Metrics, store: MongoRejections | None = None
    ) -> None:
        self._kept: deque[Rejection] = deque(maxlen=count)
        self._pseudonyms = pseudonyms
        self._metrics = metrics
        self._pending: deque[Kept] = deque(maxlen=MAX_PENDING_COUNT)
        self._writing = asyncio.Lock()
        self._second = self._logged_count = self._unlogged_count = 0
        self.store = store

    def add(self, error: MeasureError, topic: str, payload: bytes, profile: Profile | None, at: datetime) -> None:
        """Count, log and keep a message. `profile` is the one that reads the topic, None if there is none."""
        kept = self._enter(error, topic, payload, profile, at)
        if self.store is not None:
            self._pending.append(kept)

    async def keep(
        self, error: MeasureError, topic: str, payload: bytes, profile: Profile | None, at: datetime
    ) -> None:
        """Do as `add`, and return when it is in MongoDB, however long that takes."""
        kept = self._enter(error, topic, payload, profile, at)
        while self.store is not None:
            try:
                await self.store.add([kept])
            except StoreUnavailable as unavailable:
                log.warning("a rejection waits for MongoDB", why=str(unavailable))
                await asyncio.sleep(AGAIN_S)
            else:
                return

    def can_replay(self, topic: str, payload: bytes, profile: Profile | None) -> bool:
        """Whether a message can be replayed once it has been rejected."""
        return self.store is not None and _may_be_kept(topic, payload, profile)

    def _enter(self, error: MeasureError, topic: str, payload: bytes, profile: Profile | None, at: datetime) -> Kept:
        rejection = Rejection(
            at=system_text(at),
            topic=_cut(shown_topic(topic, profile)),
            reason=error.reason,
            detail=_cut(str(error)),
            payload=shown(payload, profile, self._pseudonyms),
        )
        self._kept.append(rejection)
        self._metrics.rejected.labels(error.reason).inc()
        self._log(rejection, int(at.timestamp()))
        kept = payload if _may_be_kept(topic, payload, profile) else None
        return Kept(rejection.at, rejection.topic, rejection.reason, rejection.detail, rejection.payload, kept)

    def _log(self, rejection: Rejection, second: int) -> None:
        if second != self._second:
            if self._unlogged_count:
                log.warning("further messages rejected", count=self._unlogged_count)
            self._second, self._logged_count, self._unlogged_count = second, 0, 0
        if self._logged_count == LOGGED_A_SECOND_COUNT:
            self._unlogged_count += 1
            return
        self._logged_count += 1
        told = asdict(rejection)
        log.warning("message rejected", **{name: value for name, value in told.items() if name not in ("at", "id")})

    def latest(self) -> list[Rejection]:
        """Return what this agent keeps in memory, newest first."""
        return list(reversed(self._kept))

    async def listed(self, limit: int, condition: Mapping[str, str]) -> Sequence[Rejection]:
        """Return those of all agents, newest first; of this one only, when MongoDB does not answer."""
        if self.store is not None:
            try:
                await self._write(self.store)
                found = await self.store.latest(limit, condition)
            except StoreUnavailable as error:
                log.warning("rejections of other agents cannot be read", why=str(error))
            else:
                return [Rejection(*each[:4], each.shown, each.id if each.payload is not None else "") for each in found]
        return [
            each for each in self.latest() if all(getattr(each, name) == value for name, value in condition.items())
        ][:limit]

    async def run(self) -> None:
        """Write rejections to MongoDB, for ever."""
        is_told = False
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            if self.store is None:
                continue
            try:
                await self._write(self.store)
            except StoreUnavailable as error:
                if not is_told:
                    log.warning("rejections are not written yet", count=len(self._pending), why=str(error))
                is_told = True
            else:
                is_told = False

    async def flush(self) -> None:
        """Write what is not written yet, if MongoDB takes it at once."""
        if self.store is not None:
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(FLUSH_WITHIN_S):
                    await self._write(self.store)

    async def _write(self, store: MongoRejections) -> None:
        async with self._writing:  # who lists them waits for what is being written
            if not self._pending:
                return
            taken = list(self._pending)
            self._pending.clear()
            try:
                await store.add(taken)
            except BaseException:  # also when the caller who asked for the list has gone away
                self._pending = deque((*taken, *self._pending), self._pending.maxlen)
                raise


def _may_be_kept(topic: str, payload: bytes, profile: Profile | None) -> bool:
    may_be_seen = profile is not None and not profile.bears_identity
    return may_be_seen and len(payload) <= MAX_KEPT_BYTES and len(topic) <= SHOWN_CHARACTERS


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
