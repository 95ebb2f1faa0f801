"""The latest entity states that this process wrote: they save the read before the next write."""

from collections import OrderedDict
from time import monotonic

import orjson

from broker.storage.base import Stored
from ngsi.entity import Entity

_TRUST_S = 60.0
"""How long a cached state may serve as the base of a write. Far below the life of a tombstone in the storage, so that
no write can bring back an entity whose deletion has been forgotten."""

_USUAL_BYTES = 4_000
"""Memory that an entity takes as long as it is written in small pieces and has few attributes."""
_USUAL_ATTRIBUTES = 16
_USUAL_WRITE_BYTES = 2_000
_MEMORY_PER_JSON_BYTE = 6


class StateCache:
    """States by entity id, bounded by the memory they take; the least recently used are dropped."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._states: OrderedDict[str, tuple[float, int, Stored]] = OrderedDict()

    def get(self, entity_id: str) -> Stored | None:
        """The state, if it is young enough to build on."""
        item = self._states.get(entity_id)
        if item is None or monotonic() - item[0] > _TRUST_S:
            return None
        self._states.move_to_end(entity_id)
        return item[2]

    def put(self, entity_id: str, state: Stored, written_bytes: int) -> None:
        """Remembers a state that came of a request of `written_bytes`."""
        self.drop(entity_id)
        size = _size_bytes(state.entity, written_bytes)
        self._states[entity_id] = (monotonic(), size, state)
        self._bytes += size
        while self._bytes > self._limit_bytes:
            _, (_, dropped, _) = self._states.popitem(last=False)
            self._bytes -= dropped

    def drop(self, entity_id: str) -> None:
        """Forgets a state."""
        item = self._states.pop(entity_id, None)
        if item is not None:
            self._bytes -= item[1]


def _size_bytes(entity: Entity | None, written_bytes: int) -> int:
    """About the memory of a state; exact sizes are worth their time for unusual entities only."""
    if entity is None or (written_bytes <= _USUAL_WRITE_BYTES and len(entity.attributes) <= _USUAL_ATTRIBUTES):
        return _USUAL_BYTES
    return _USUAL_BYTES + _MEMORY_PER_JSON_BYTE * len(orjson.dumps(entity.attributes))
