"""Who waits under one key of an index: most keys have one watcher, which then stands there itself and costs nothing."""

from collections.abc import Iterable
from typing import Any, Generic, Protocol, TypeVar


class Watcher(Protocol):
    """What can be filed: `watched` are the attributes whose changes concern it, None for all."""

    watched: frozenset[str] | None


W = TypeVar("W", bound=Watcher)


class Crowd(Generic[W]):
    """Several watchers under one key: those of any attribute, and those of certain ones."""

    __slots__ = ("_by_attribute", "_for_any")

    def __init__(self) -> None:
        self._for_any: dict[W, None] = {}
        self._by_attribute: dict[str, dict[W, None]] = {}

    def add(self, watcher: W) -> None:
        """One more."""
        if watcher.watched is None:
            self._for_any[watcher] = None
        for key in watcher.watched or ():
            self._by_attribute.setdefault(key, {})[watcher] = None

    def remove(self, watcher: W) -> bool:
        """One less; True when nobody is left."""
        self._for_any.pop(watcher, None)
        for key in watcher.watched or ():
            if (watchers := self._by_attribute.get(key)) is not None:
                watchers.pop(watcher, None)
                if not watchers:
                    del self._by_attribute[key]
        return not self._for_any and not self._by_attribute

    def collect(self, attributes: Iterable[str], into: dict[W, None]) -> None:
        """Adds those that changes of these attributes may concern."""
        into.update(self._for_any)
        if self._by_attribute:
            for key in attributes:
                if (watchers := self._by_attribute.get(key)) is not None:
                    into.update(watchers)


Entries = dict[str, W | Crowd[W]]


def enter(entries: Entries[W], key: str, watcher: W) -> None:
    """Files a watcher under a key, once however often it is filed there."""
    entry = entries.setdefault(key, watcher)
    if entry is watcher:
        return
    if not isinstance(entry, Crowd):
        crowd: Crowd[W] = Crowd()
        crowd.add(entry)
        entries[key] = entry = crowd
    entry.add(watcher)


def strike(entries: Entries[W], key: str, watcher: W) -> None:
    """Takes a watcher out from under a key, if it is there."""
    entry = entries.get(key)
    if entry is watcher or (isinstance(entry, Crowd) and entry.remove(watcher)):
        del entries[key]


def collect(entry: Any, attributes: Iterable[str], into: dict[W, None]) -> None:
    """Adds whom changes of these attributes may concern of those in an entry, which may be None."""
    if entry is None:
        return
    if isinstance(entry, Crowd):
        entry.collect(attributes, into)
    elif entry.watched is None or not entry.watched.isdisjoint(attributes):
        into[entry] = None
