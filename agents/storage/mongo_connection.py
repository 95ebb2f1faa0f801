"""The connection of an agent to MongoDB, and the border at which the driver's exceptions end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import InvalidURI, PyMongoError

from agents.errors import ConfigurationError, StoreUnavailable
from agents.tasks import close

SHOWN_CHARACTERS = 200
_RELEASED_TWICE = "Lock is not acquired"
_DURABLE = WriteConcern(w="majority", j=True)

Database = AsyncDatabase[dict[str, Any]]


class MongoConnection:
    """One client for everything an agent keeps. Its database cannot be a tenant's: those have no hyphen there."""

    def __init__(self, uri: str, database: str, timeout_s: float) -> None:
        """Raise `ConfigurationError` for a URI that is none. Connects with the first request."""
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


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's exceptions into StoreUnavailable."""
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(f"MongoDB does not answer: {str(error)[:SHOWN_CHARACTERS]}") from error
    except RuntimeError as error:
        # Before Python 3.12, a wait that is woken just when its time is over releases PyMongo's lock twice.
        if str(error) != _RELEASED_TWICE:
            raise
        raise StoreUnavailable("MongoDB does not answer in time") from error
