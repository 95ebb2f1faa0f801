"""How long this process may rely on what it holds."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

# Goes on while the process is stopped and, where there is such a clock, while the machine sleeps.
now_s: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)


class Lease:
    """Whether the lease of this process still runs. Nothing may be sent or written for a subscription otherwise.

    A process that was stopped, or could not reach MongoDB, may wake up when others have long taken its place.
    """

    def __init__(self, until_s: float = 0.0) -> None:
        self._until_s = until_s
        self._renewed = asyncio.Event()

    @property
    def is_sure(self) -> bool:
        """Whether nobody else can have taken what this process holds."""
        return now_s() < self._until_s

    async def sure(self) -> None:
        """Waits until the lease is renewed, if it may have run out. Whoever has lost it is cancelled meanwhile."""
        while not self.is_sure:
            self._renewed.clear()
            await self._renewed.wait()

    def renew(self, until_s: float) -> None:
        """It runs until that time of `now_s`."""
        self._until_s = until_s
        self._renewed.set()

    def end(self) -> None:
        """It is given back or lost."""
        self._until_s = 0.0
