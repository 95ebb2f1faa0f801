"""The connection of an agent to MongoDB, and the border at which the driver's exceptions end."""

import asyncio
import sys
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

import pymongo.lock
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import InvalidURI, PyMongoError

from agents.errors import ConfigurationError, StoreUnavailable
from agents.tasks import close

SHOWN_CHARACTERS = 200
_DURABLE = WriteConcern(w="majority", j=True)

Database = AsyncDatabase[dict[str, Any]]


class MongoConnection:
    """One client for everything an agent keeps. Its database cannot be a tenant's: those have no hyphen there."""

    def __init__(self, uri: str, database: str, timeout_s: float) -> None:
        """Raise `ConfigurationError` for a URI that is none. Connects with the first request."""
        if sys.version_info < (3, 12):
            setattr(pymongo.lock, "wait_for", _wait_for)  # noqa: B010 (not for others to import, says PyMongo)
        milliseconds = int(timeout_s * 1000)
        try:
            self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
                uri,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                socketTimeoutMS=2 * milliseconds,
                appname="medina-agent",
            )
        except (InvalidURI, DriverConfigurationError, ValueError) as error:
            raise ConfigurationError(f"MONGODB_URI: {error}") from error
        self.database: Database = self._client.get_database(f"{database}-agents", write_concern=_DURABLE)

    async def close(self) -> None:
        """Close the connections."""
        await close(self._client)


async def _wait_for(awaitable: Awaitable[bool], within_s: float | None) -> bool:
    """`asyncio.wait_for` as of Python 3.12, which waits in the task that calls it.

    The older one waits in a task of its own, which a cancellation at the moment of the timeout leaves behind: there,
    it takes the lock of PyMongo's topology, for nobody, and every later request waits for ever (docs/decisions/0025).
    """
    async with asyncio.timeout(within_s):
        return await awaitable


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's exceptions into StoreUnavailable."""
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(f"MongoDB does not answer: {str(error)[:SHOWN_CHARACTERS]}") from error
