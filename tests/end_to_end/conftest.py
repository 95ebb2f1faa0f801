"""One Medina for the tests of this folder; whoever kills a part of it starts it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.city import City


@pytest.fixture(scope="session")
def running_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A city with every part running."""
    city = City(tmp_path_factory.mktemp("city"))
    try:
        city.start(*city.parts)
        yield city
    finally:
        city.stop()


@pytest.fixture
def city(running_city: City) -> Iterator[City]:
    """The city with all parts alive, an empty record and no subscription left behind."""
    running_city.restore()
    running_city.record.clear()
    yield running_city
    running_city.restore()
    running_city.unsubscribe_all()
