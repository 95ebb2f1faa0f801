"""Wait for a condition instead of sleeping: returns as soon as it holds, fails with what it last saw."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")
INTERVAL_S = 0.02


@overload
async def until(condition: Callable[[], Awaitable[T]], within_s: float = 20.0, every_s: float = INTERVAL_S) -> T: ...
@overload
async def until(condition: Callable[[], T], within_s: float = 20.0, every_s: float = INTERVAL_S) -> T: ...
async def until(condition: Callable[[], T | Awaitable[T]], within_s: float = 20.0, every_s: float = INTERVAL_S) -> T:
    """The first true value of `condition` (plain or async); AssertionError when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        outcome = condition()
        value: T = await outcome if inspect.isawaitable(outcome) else outcome
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{_named(condition)} was still {value!r} after {within_s} s")
        await asyncio.sleep(every_s)


def until_sync(condition: Callable[[], T], within_s: float = 20.0, every_s: float = INTERVAL_S) -> T:
    """The first true value of `condition`; AssertionError when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{_named(condition)} was still {value!r} after {within_s} s")
        time.sleep(every_s)
    return value


def _named(condition: Callable[[], object]) -> str:
    return getattr(condition, "__qualname__", repr(condition))
