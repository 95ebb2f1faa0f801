"""Which notifications of one subscription may be under way at the same time.

A notification may start when no earlier unfinished one has an entity in common with it. So notifications of different
entities overtake each other, those of one entity never do.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Generic, TypeVar


class Ordered:
    """Something that has its turn. `keys` are what it must not overtake others on (entity ids)."""

    __slots__ = ("_blockers", "_later", "keys")

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        self._blockers = 0
        self._later: list[Ordered] = []


T = TypeVar("T", bound=Ordered)


class Ordering(Generic[T]):
    """Unfinished items in the order of their arrival; an item costs its number of keys, whatever else waits."""

    def __init__(self) -> None:
        self._last: dict[str, T] = {}
        self._unfinished: dict[T, None] = {}

    def __len__(self) -> int:
        return len(self._unfinished)

    def __iter__(self) -> Iterator[T]:
        """The unfinished items, oldest first."""
        return iter(self._unfinished)

    def add(self, item: T) -> bool:
        """Take the item in as the latest; True when it may start at once."""
        self._unfinished[item] = None
        last = self._last
        for key in item.keys:
            earlier = last.get(key)
            if earlier is not None and earlier is not item:
                item._blockers += 1
                earlier._later.append(item)
            last[key] = item
        return item._blockers == 0

    def finish(self, item: T) -> list[T]:
        """Take the item out; gives those that may start now because it is gone, oldest first."""
        del self._unfinished[item]
        for key in item.keys:
            if self._last.get(key) is item:
                del self._last[key]
        startable: list[T] = []
        for later in item._later:
            later._blockers -= 1
            if later._blockers == 0:
                startable.append(later)  # type: ignore[arg-type]  # only items of this ordering are ever linked
        return startable

    def withdraw_all_but(self, started: Collection[T]) -> list[T]:
        """Take out every item that has not started, oldest first; those that have keep their place."""
        withdrawn = [item for item in self._unfinished if item not in started]
        self._unfinished = {item: None for item in self._unfinished if item in started}
        self._last = {key: item for item in self._unfinished for key in item.keys}
        for item in self._unfinished:
            item._later = []
        return withdrawn
