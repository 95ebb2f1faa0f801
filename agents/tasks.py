"""The end of tasks that are meant to run for ever."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

_AGAIN_S = 0.1
_CLOSE_WITHIN_S = 1.0


class Driver(Protocol):
    """What has connections to a database."""

    def close(self) -> Coroutine[Any, Any, None]:
        """End them."""


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended; what they raise is of no interest any more.

    Once is not enough for those that work with MongoDB: before Python 3.12 `asyncio.wait_for`, in which the driver
    connects, reads and writes, swallows a cancellation that comes at the moment of its result: of 3,000 tasks that did
    nothing but ask MongoDB, 18 went on. Not for tasks that tidy up when cancelled.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        ended, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # has been looked at: asyncio need not complain


async def close(driver: Driver) -> None:
    """Close a driver's connections, within a second.

    Without MongoDB the driver first looks for a server to tell of the end, for as long as for a request.
    """
    closing = asyncio.get_running_loop().create_task(driver.close())
    _, pending = await asyncio.wait([closing], timeout=_CLOSE_WITHIN_S)
    for task in pending:
        task.cancel()
