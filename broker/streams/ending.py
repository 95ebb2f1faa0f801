"""The end of tasks that work with MongoDB."""

import asyncio
from typing import Any

_AGAIN_S = 0.1


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancels a task until it has ended.

    PyMongo can take a cancellation for a broken connection; then the reader of the log reconnects and goes on, as it
    does after real breaks. What the task raises is of no interest any more.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=_AGAIN_S)
    if not task.cancelled():
        task.exception()
