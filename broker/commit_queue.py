"""The requests that wait for a flush: in the order of their arrival, and for one entity strictly so."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from broker.commit_ticket import Ticket
from ngsi.patch import Patch


@dataclass(slots=True)
class Pending:
    """A patch that waits for its flush, and where its outcome goes. `size_bytes`: its share of the request's body."""

    entity_id: str
    patch: Patch
    ticket: Ticket
    index: int
    is_creation: bool
    size_bytes: int = 0
    attempts: int = 0


class PendingQueue:
    """Requests in, batches out; a batch never has an entity that an earlier batch is still busy with.

    What arrives for a busy entity is held back and returns to the head of the queue when the entity is free again, so
    that several flushes can be under way and yet each entity is written in the order of arrival.
    """

    def __init__(self) -> None:
        self._waiting: deque[Pending] = deque()
        self._held: dict[str, list[Pending]] = {}
        self._busy: set[str] = set()
        self._held_count = 0

    def __len__(self) -> int:
        return len(self._waiting) + self._held_count

    @property
    def ready_count(self) -> int:
        """How many wait that may be taken, as far as is known without looking at each."""
        return len(self._waiting)

    def add(self, pending: Iterable[Pending]) -> None:
        """Puts requests at the end."""
        self._waiting.extend(pending)

    def take(self, count: int) -> list[Pending]:
        """The next batch, at most `count`; its entities are busy until `release`."""
        batch: list[Pending] = []
        while self._waiting and len(batch) < count:
            pending = self._waiting.popleft()
            if pending.entity_id in self._busy:
                self._held.setdefault(pending.entity_id, []).append(pending)
                self._held_count += 1
            else:
                batch.append(pending)
        self._busy.update(pending.entity_id for pending in batch)
        return batch

    def release(self, batch: list[Pending], again: list[Pending]) -> None:
        """Ends a batch. Those of it to be tried again come first, then what was held back for its entities."""
        first = list(again)
        for entity_id in dict.fromkeys(pending.entity_id for pending in batch):
            self._busy.discard(entity_id)
            held = self._held.pop(entity_id, None)
            if held is not None:
                self._held_count -= len(held)
                first += held
        self._waiting.extendleft(reversed(first))
