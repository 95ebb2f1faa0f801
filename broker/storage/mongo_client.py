"""Clients of MongoDB, with PyMongo's waits put right (docs/decisions/0025)."""

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any

import pymongo.lock
from pymongo import AsyncMongoClient


def connect(uri: str, timeout_s: float, appname: str, **options: Any) -> AsyncMongoClient[dict[str, Any]]:
    """A client that connects with its first request, and gives up looking for a server after `timeout_s`."""
    if sys.version_info < (3, 12):
        setattr(pymongo.lock, "wait_for", _wait_for)  # noqa: B010 (not for others to import, says PyMongo)
    milliseconds = int(timeout_s * 1000)
    return AsyncMongoClient(
        uri, serverSelectionTimeoutMS=milliseconds, connectTimeoutMS=milliseconds, appname=appname, **options
    )


async def _wait_for(awaitable: Awaitable[bool], within_s: float | None) -> bool:
    """`asyncio.wait_for` as of Python 3.12: it waits in the task that calls it.

    The older one waits in a task of its own, which a cancellation at the moment of the timeout leaves behind: there,
    it takes the lock of PyMongo's topology, for nobody, and every later request waits for that lock for ever.
    """
    async with asyncio.timeout(within_s):
        return await awaitable
