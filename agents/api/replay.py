"""Rejected messages once more, after a profile was mended or a device provisioned."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from agents.errors import MeasureError, NotTaken, StoreUnavailable
from agents.storage.mongo_rejections import Kept, MongoRejections


class Wanted(BaseModel):
    """Which rejected messages: by id, else the latest `limit` with this reason and topic."""

    model_config = ConfigDict(extra="forbid")

    ids: Sequence[str] = Field(default=(), max_length=1000)
    reason: str = ""
    topic: str = ""
    limit: int = Field(default=1000, ge=1, le=10_000)


class Replay:
    """Passes messages to `again(topic, payload, time of the first reception)`, oldest first."""

    def __init__(self, store: MongoRejections | None, again: Callable[[str, bytes, datetime], Awaitable[None]]) -> None:
        self._store = store
        self._again = again

    async def run(self, wanted: Wanted) -> Counter[str]:
        """Return how many are `stored`, `rejected`, `notKept`; raises `StoreUnavailable`."""
        if self._store is None:
            raise StoreUnavailable("Rejected messages are kept in MongoDB only (MONGODB_URI)")
        outcomes: Counter[str] = Counter({"stored": 0, "rejected": 0, "notKept": 0})
        done: list[str] = []
        for kept in await self._found(self._store, wanted):
            outcome = await self._outcome(kept)
            outcomes[outcome] += 1
            if outcome != "notKept":
                done.append(kept.id)  # one that was rejected again is kept anew
        if done:
            await self._store.remove(done)
        return outcomes

    async def _found(self, store: MongoRejections, wanted: Wanted) -> list[Kept]:
        if wanted.ids:
            return [kept for id_ in wanted.ids for kept in await store.latest(1, {"id": id_})]
        condition = {name: value for name in ("reason", "topic") if (value := getattr(wanted, name))}
        return (await store.latest(wanted.limit, condition))[::-1]

    async def _outcome(self, kept: Kept) -> str:
        if kept.payload is None:
            return "notKept"
        try:
            await self._again(kept.topic, kept.payload, datetime.fromisoformat(kept.at))
        except MeasureError:
            return "rejected"
        except NotTaken as error:
            raise StoreUnavailable(str(error)) from error
        return "stored"
