"""The end of tasks that are meant to run for ever."""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_S = 0.1


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended; what they raise is of no interest any more.

    Once is not enough for those that work with MongoDB: before Python 3.12 `asyncio.wait_for`, in which the driver
    waits, swallows a cancellation that comes at the moment of its result. Not for tasks that tidy up when cancelled.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        ended, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # has been looked at: asyncio need not complain
