"""The end of tasks that are meant to run for ever."""

import asyncio
import os
import sys
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


async def close(driver: Driver) -> None:
    """Close a driver's connections, within a second.

    Without MongoDB a cancellation in a bad moment can leave one of PyMongo's locks taken for good.
    """
    closing = asyncio.get_running_loop().create_task(driver.close())
    _, pending = await asyncio.wait([closing], timeout=_CLOSE_WITHIN_S)
    for task in pending:
        task.cancel()


async def leave_nothing_behind() -> None:
    """End what still runs, as the last act of a process; the process itself if something does not end.

    Without MongoDB, PyMongo can be left with tasks that wait for one of its locks and take no cancellation; asyncio
    would wait for them for ever.
    """
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        _, stuck = await asyncio.wait(tasks, timeout=_CLOSE_WITHIN_S)
        if stuck:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
