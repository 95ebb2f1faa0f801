"""Long work on the event loop, cut into slices so that other requests get their turns."""

import asyncio
from time import perf_counter

_SLICE_S = 0.003


class Turns:
    """Counts the time that one request has worked without a break."""

    def __init__(self) -> None:
        self._since_s = perf_counter()

    async def take(self) -> None:
        """Lets others work if this one has had its slice; to be called between steps of at most a millisecond."""
        if perf_counter() - self._since_s > _SLICE_S:
            await asyncio.sleep(0)
            self._since_s = perf_counter()
