"""Who waits for ids of a pattern: the idPatterns of one type, by the literal text that an id must begin with."""

from collections.abc import Iterator
from typing import Generic

from broker.notify.entries import Crowd, Entries, W, enter, strike
from ngsi.pattern import parse as parse_pattern

_REMEMBERED_IDS_MAX = 10_000


class IdPatterns(Generic[W]):
    """The idPatterns of one type, by the literal text that an id must begin with; most are never parsed."""

    def __init__(self) -> None:
        self._by_prefix: dict[str, Entries[W]] = {}
        self._lengths: set[int] | None = None
        self._remembered: dict[str, list[W | Crowd[W]]] = {}

    def add(self, wanted: str, watcher: W) -> None:
        """Files a watcher under a pattern."""
        enter(self._by_prefix.setdefault(literal_prefix(wanted), {}), wanted, watcher)
        self._changed()

    def remove(self, wanted: str, watcher: W) -> bool:
        """Takes a watcher out from under a pattern; True when nobody is left."""
        prefix = literal_prefix(wanted)
        if (entries := self._by_prefix.get(prefix)) is not None:
            strike(entries, wanted, watcher)
            if not entries:
                del self._by_prefix[prefix]
        self._changed()
        return not self._by_prefix

    def entries(self, entity_id: str) -> list[W | Crowd[W]]:
        """What stands under the patterns that the id matches."""
        found = self._remembered.get(entity_id)
        if found is None:
            found = list(self._search(entity_id))
            if len(self._remembered) >= _REMEMBERED_IDS_MAX:
                self._remembered.clear()
            self._remembered[entity_id] = found
        return found

    def _search(self, entity_id: str) -> Iterator[W | Crowd[W]]:
        if self._lengths is None:
            self._lengths = {len(prefix) for prefix in self._by_prefix}
        for length in self._lengths:
            for wanted, entry in self._by_prefix.get(entity_id[:length], {}).items():
                if parse_pattern(wanted).search(entity_id):
                    yield entry

    def _changed(self) -> None:
        self._lengths = None
        self._remembered.clear()


def literal_prefix(source: str) -> str:
    """The text that every id matched by a pattern begins with; empty when that cannot be told easily."""
    if not source.startswith("^") or "|" in source:
        return ""
    end = 1
    while end < len(source) and (source[end].isalnum() or source[end] in ":-_/#"):
        end += 1
    if end < len(source) and source[end] in "*?{":
        end -= 1
    return source[1:end]
