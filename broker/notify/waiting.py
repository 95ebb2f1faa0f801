"""Which entities have something in the backlog of a subscription: fresh notifications of others need not wait."""

from collections.abc import Iterable, Mapping

ENTITIES_MAX = 10_000
"""Of more than that it is not known, and all wait."""


class WaitingEntities:
    """Counts rows by entity. What is not known (`is_known`) can be set by `reset`."""

    def __init__(self) -> None:
        self._counts: dict[str, int] | None = None

    @property
    def is_known(self) -> bool:
        """Whether it is known of every entity."""
        return self._counts is not None

    def reset(self, counts: Mapping[str, int] | None) -> None:
        """Starts anew with these rows by entity; None when they are not known."""
        self._counts = None if counts is None else dict(counts)

    def add(self, entities: Iterable[str]) -> None:
        """One more row, of these entities."""
        counts = self._counts
        if counts is None:
            return
        for entity in entities:
            counts[entity] = counts.get(entity, 0) + 1
        if len(counts) > ENTITIES_MAX:
            self._counts = None

    def remove(self, entities: Iterable[str]) -> None:
        """A row of these entities is gone."""
        counts = self._counts
        if counts is None:
            return
        for entity in entities:
            left = counts.get(entity, 0) - 1
            if left > 0:
                counts[entity] = left
            else:
                counts.pop(entity, None)

    def have_none(self, entities: Iterable[str]) -> bool:
        """Whether nothing of these entities waits, for certain."""
        return self._counts is not None and self._counts.keys().isdisjoint(entities)
