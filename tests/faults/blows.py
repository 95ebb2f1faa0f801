"""What happens to the parts: which, how, when, for how long, all from one seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.end_to_end.city import City
from tests.faults.watches import RECEIVERS

NOTIFIERS = ("notifier", "notifier-b")
TARGETS = (*NOTIFIERS, *NOTIFIERS, "broker", "mongod", *RECEIVERS)
_STOPPED = frozenset({"mqtt"})
"""Not killed but stopped: mosquitto keeps its queues on disk only when it has time to write them."""


@dataclass(frozen=True)
class Blow:
    """A part goes down (is killed, or only paused) for `down_s`, `rest_s` after the last blow ended."""

    part: str
    is_pause: bool
    is_stop: bool
    down_s: float
    rest_s: float

    @property
    def title(self) -> str:
        """For counting."""
        done = "paused" if self.is_pause else "restarted" if self.is_stop else "killed"
        return f"{self.part.removesuffix('-b')} {done}"


def blows(seed: int, targets: Sequence[str] = TARGETS, pausable: Collection[str] = NOTIFIERS) -> Iterator[Blow]:
    """The endless sequence of a seed: parts named more than once are struck more often."""
    random = Random(seed)  # to be repeatable is what is wanted
    while True:
        part = random.choice(targets)
        is_pause = part in pausable and random.random() < 0.25
        down_s = random.uniform(5.0, 8.0) if is_pause else random.uniform(0.0, 3.0)
        yield Blow(part, is_pause, part in _STOPPED, down_s, random.uniform(0.5, 4.0))


@dataclass
class Chaos:
    """Strikes one part after the other; `struck` counts by title."""

    city: City
    seed: int
    targets: Sequence[str] = TARGETS
    pausable: Collection[str] = NOTIFIERS
    struck: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Until cancelled; what is down then is left down."""
        for blow in blows(self.seed, self.targets, self.pausable):
            await asyncio.sleep(blow.rest_s)
            await self._strike(blow)

    async def _strike(self, blow: Blow) -> None:
        part = self.city.parts[blow.part]
        self.struck[blow.title] += 1
        if blow.is_pause:
            part.pause()
            try:
                await asyncio.sleep(blow.down_s)
            finally:
                part.wake()
        else:
            if blow.is_stop:
                await asyncio.to_thread(part.stop)
            else:
                part.kill()
            await asyncio.sleep(blow.down_s)
            await asyncio.to_thread(self.city.start, blow.part)
