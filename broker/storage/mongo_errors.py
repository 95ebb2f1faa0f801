"""The driver's exceptions end here: beyond, there are those of `broker.errors` and `ngsi.errors` only."""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import ExecutionTimeout, PyMongoError

from broker.errors import StorageUnavailable
from ngsi.errors import TooComplexQuery
from ngsi.names import show


@contextmanager
def unavailable(what: str) -> Iterator[None]:
    """Turns the driver's exceptions into StorageUnavailable; `what` says what could not be done."""
    try:
        yield
    except PyMongoError as exc:
        raise StorageUnavailable(f"{what}: {show(str(exc), 200)}") from exc


@contextmanager
def translated() -> Iterator[None]:
    """As `unavailable`, but TooComplexQuery where a query ran out of time."""
    try:
        yield
    except ExecutionTimeout as exc:
        raise TooComplexQuery(
            "The query takes MongoDB longer than it is given; ask for fewer entities: name a type or ids, or use "
            "conditions without regular expressions"
        ) from exc
    except PyMongoError as exc:
        raise StorageUnavailable(f"MongoDB does not answer: {show(str(exc), 200)}") from exc
