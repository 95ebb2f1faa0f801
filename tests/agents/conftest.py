from collections.abc import AsyncIterator, Callable

import pytest

from tests.agents.receiver import Receiver, listening


@pytest.fixture
async def receiver(free_port: Callable[[], int]) -> AsyncIterator[Receiver]:
    async with listening(Receiver(), free_port()) as ready:
        yield ready
