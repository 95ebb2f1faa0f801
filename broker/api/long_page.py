"""Lists whose items are shown and encoded as they come from the storage, whatever their number and size."""

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar

from broker.api.long_array import LongArray
from broker.api.parameters import Page
from broker.turns import Turns

Item = TypeVar("Item")
Found = TypeVar("Found", covariant=True)
Show = Callable[[Item], Any]
"""An item as JSON; empty if it is left out."""


class Find(Protocol[Found]):
    """What there is, from an offset on, up to a number."""

    def __call__(self, *, offset: int, limit: int) -> AsyncGenerator[Found]:
        """The items. Who leaves off early closes the generator."""


async def fill_page(array: LongArray, find: Find[Item], show: Show[Item], page: Page, *, hold: bool = False) -> bool:
    """Fills an array with a page; True if there is more behind it. `hold`: see `LongArray.fill`."""
    if not page.limit:
        return False
    coming = _Coming(find(offset=page.offset, limit=page.limit + 1), show, page.limit)
    if await array.fill(coming.shown(), hold=hold):
        return coming.more
    return bool([item async for item in find(offset=page.offset + page.limit, limit=1)])


async def fill_whole(array: LongArray, found: AsyncGenerator[Item], show: Show[Item]) -> None:
    """Fills an array with all that is found."""
    await array.fill(_Coming(found, show, sys.maxsize).shown())


class _Coming(Generic[Item]):
    """The first items of those found; `more` tells, when these have come, whether there are others."""

    def __init__(self, found: AsyncGenerator[Item], show: Show[Item], limit: int) -> None:
        self._found = found
        self._show = show
        self._limit = limit
        self.more = False

    async def shown(self) -> AsyncGenerator[Any]:
        """The items as JSON, in turns with the work of others."""
        turns, number = Turns(), 0
        async with aclosing(self._found):
            async for item in self._found:
                number += 1
                if number > self._limit:
                    self.more = True
                    return
                if shown := self._show(item):
                    yield shown
                await turns.take()
