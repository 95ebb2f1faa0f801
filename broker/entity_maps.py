"""Entity maps: what a query has found, kept for a while so that its pages are those of one set (clause 5.5.9.3).

{_id: URI, ids: [entity ids in their order], expiresAt: text, gone: the same as a BSON date (TTL), modifiedAt: text}

All entities are this broker's own, so a map tells of each of them the source "@none" (clause 5.2.39).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from broker.storage.base import DocumentStore
from ngsi.datetimes import fixed, parse, system_text
from ngsi.errors import TooManyResults
from ngsi.vocabulary import NO_DATASET

IDS_COUNT_MAX = 10_000
"""Entities in a map at the most: it is one document."""
_IDS_BYTES_MAX = 8_000_000
_LIFETIME_S = 600.0
_LIFETIME_MAX_S = 86_400.0


@dataclass(frozen=True, slots=True)
class EntityMap:
    """A map that has not expired."""

    id: str
    ids: tuple[str, ...]
    expires_at: str
    modified_at: str

    def shown(self) -> dict[str, Any]:
        """The map as clients read it (clause 5.2.39)."""
        return {
            "id": self.id,
            "type": "EntityMap",
            "expiresAt": self.expires_at,
            "entityMap": {entity_id: [NO_DATASET] for entity_id in self.ids},
        }


class EntityMaps:
    """The maps of one tenant. `clock` gives the present. Every method raises StorageUnavailable."""

    def __init__(self, store: DocumentStore, clock: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock

    async def create(self, ids: Iterable[str], lifetime_s: float | None) -> EntityMap:
        """Keeps what was found; for a day at the most, whatever lifetime is asked for. Raises TooManyResults."""
        found = tuple(ids)
        if len(found) > IDS_COUNT_MAX or sum(map(len, found)) > _IDS_BYTES_MAX:
            raise TooManyResults(f"Over {IDS_COUNT_MAX} entities, or very long ids, are too much for an entity map")
        now = self._clock()
        seconds = _LIFETIME_S if lifetime_s is None else min(lifetime_s, _LIFETIME_MAX_S)
        expires_at = system_text(parse(now) + timedelta(seconds=seconds))
        made = EntityMap(f"urn:ngsi-ld:EntityMap:{uuid4()}", found, expires_at, now)
        await self._store.insert(
            {"_id": made.id, "ids": list(found), **_until(expires_at), "modifiedAt": made.modified_at}
        )
        return made

    async def get(self, map_id: str) -> EntityMap | None:
        """The map, None if there is none or it has expired."""
        held = await self._store.get(map_id)
        if held is None or held["expiresAt"] <= self._clock():
            return None
        return EntityMap(map_id, tuple(held["ids"]), held["expiresAt"], held["modifiedAt"])

    async def narrow(self, known: EntityMap, ids: Iterable[str]) -> None:
        """Takes out of a map what its query does not find any more; of two that narrow it at once, one does."""
        members = {"ids": list(ids), "modifiedAt": self._clock()}
        await self._store.update(known.id, members, if_modified_at=known.modified_at)

    async def expire(self, known: EntityMap, expires_at: str) -> bool:
        """Sets when a map expires, a day from now at the most; False if it has changed or gone meanwhile."""
        now = self._clock()
        latest = system_text(parse(now) + timedelta(seconds=_LIFETIME_MAX_S))
        members = {**_until(min(fixed(expires_at), latest)), "modifiedAt": now}
        return await self._store.update(known.id, members, if_modified_at=known.modified_at)

    async def delete(self, map_id: str) -> bool:
        """Removes a map; False if there was none."""
        return await self.get(map_id) is not None and await self._store.delete(map_id)


def _until(expires_at: str) -> dict[str, Any]:
    return {"expiresAt": expires_at, "gone": parse(expires_at)}
