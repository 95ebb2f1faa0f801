"""What a caller of the committer waits for."""

import asyncio
from typing import Any

from ngsi.errors import NgsiError
from ngsi.patch import Patched

Outcome = Patched | NgsiError


class Ticket:
    """What one API request waits for: the outcomes of its patches, in their order."""

    __slots__ = ("_future", "_outcomes", "_remaining", "_without_effect", "count", "given_up", "request")

    def __init__(self, request: str, count: int) -> None:
        self.request = request
        self.count = count
        self.given_up: dict[str, NgsiError] = {}
        """By entity: why a patch was not written although nothing was wrong with it. Those behind it are not either."""
        self._without_effect: set[int] = set()
        self._outcomes: list[Any] = [None] * count
        self._remaining = count
        self._future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()

    @property
    def effects_count(self) -> int:
        """How many patches change something, or may: those not applied yet count."""
        return self.count - len(self._without_effect)

    def note(self, index: int, *, has_effect: bool) -> None:
        """What a patch did when it was applied last; it may be applied anew."""
        if has_effect:
            self._without_effect.discard(index)
        else:
            self._without_effect.add(index)

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
