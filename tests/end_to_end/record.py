"""What the receiver's log says: which numbers arrived, in which order, how late."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Arrivals:
    """The numbers one entity was notified with."""

    seen: set[int] = field(default_factory=set)
    highest: int = -1
    duplicates: int = 0
    disordered: int = 0
    late: list[tuple[int, int]] = field(default_factory=list)  # the highest number so far, then the one out of order
    first: list[tuple[int, int]] = field(default_factory=list)  # sent ns, received ns of each number's first occurrence

    def add(self, number: int, sent_ns: int, received_ns: int) -> None:
        """Count one notification: a number seen before is a duplicate, a new one below the highest is out of order."""
        if number in self.seen:
            self.duplicates += 1
            return
        self.seen.add(number)
        if number < self.highest:
            self.disordered += 1
            self.late.append((self.highest, number))
        self.highest = max(self.highest, number)
        self.first.append((sent_ns, received_ns))

    def missing(self, count: int) -> list[int]:
        """Numbers of 0 … count - 1 that never arrived."""
        return sorted(set(range(count)) - self.seen)


def read(lines: Iterable[str], arrivals: dict[str, Arrivals], *, by_subscription: bool) -> None:
    """Add the lines of a receiver's log to the arrivals by entity id, with `by_subscription` by "subscription entity".

    A last line that is not whole yet is left out.
    """
    for line in lines:
        if line.endswith("\n"):
            entity, number, sent, received, subscription = line[:-1].split("\t")
            key = f"{subscription} {entity}" if by_subscription else entity
            arrivals.setdefault(key, Arrivals()).add(int(number), int(sent), int(received))


class Record:
    """The log of a receiver and of those that took its place after it was killed."""

    def __init__(self, path: Path) -> None:
        """`path` need not exist yet."""
        self.path = path

    def lines(self) -> int:
        """Entities notified so far, duplicates included."""
        return self.path.read_bytes().count(b"\n") if self.path.exists() else 0

    def arrivals(self, *, by_subscription: bool = False) -> dict[str, Arrivals]:
        """Everything so far, by entity id or by "subscription entity"."""
        found: dict[str, Arrivals] = {}
        if self.path.exists():
            with self.path.open(encoding="utf-8") as lines:
                read(lines, found, by_subscription=by_subscription)
        return found

    def clear(self) -> None:
        """Forget what arrived; a receiver that has the file open goes on at its new end."""
        if self.path.exists():
            self.path.write_bytes(b"")
