"""What a caller of the committer waits for."""

import asyncio
from typing import Any

from ngsi.errors import NgsiError
from ngsi.patch import Patched

Outcome = Patched | NgsiError


class Ticket:
    """What one API request waits for: the outcomes of its patches, in their order."""

    __slots__ = ("_future", "_outcomes", "_remaining", "request")

    def __init__(self, request: str, count: int) -> None:
        self.request = request
        self._outcomes: list[Any] = [None] * count
        self._remaining = count
        self._future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()

    def settle(self, index: int, outcome: Outcome) -> None:
        """Notes the outcome of one patch, the first one told; the last patch wakes the caller."""
        if self._outcomes[index] is not None:
            return
        self._outcomes[index] = outcome
        self._remaining -= 1
        if not self._remaining and not self._future.done():
            self._future.set_result(self._outcomes)

    async def outcomes(self) -> list[Outcome]:
        """Waits for all outcomes."""
        return await self._future
