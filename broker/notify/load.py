"""How busy this process is: the difference between a receiver that is slow and a notifier that has no time for it."""

import time
from pathlib import Path
from typing import NamedTuple

_SCHEDSTAT = Path("/proc/self/schedstat")


class Mark(NamedTuple):
    """A moment: the wall clock and the time that the process has wanted a processor so far, both in seconds."""

    wall_s: float
    wanted_s: float


def mark() -> Mark:
    """The present moment.

    Linux tells how long the process ran and how long it waited for a processor; elsewhere only the first is known.
    """
    try:
        ran_ns, waited_ns, _ = _SCHEDSTAT.read_bytes().split()
        return Mark(time.monotonic(), (int(ran_ns) + int(waited_ns)) / 1e9)
    except (OSError, ValueError):
        return Mark(time.monotonic(), time.process_time())


def busy_since(earlier: Mark) -> float:
    """The share of the time since then in which the process wanted a processor, 0 to 1."""
    present = mark()
    passed_s = present.wall_s - earlier.wall_s
    return min(1.0, (present.wanted_s - earlier.wanted_s) / passed_s) if passed_s > 0 else 0.0
