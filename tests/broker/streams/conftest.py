from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from broker.settings import Settings
from tests.broker.api.conftest import Api, serving
from tests.builders import room

Subscribe = Callable[..., Awaitable[str]]
_numbers = count(1)


@pytest.fixture(scope="session")
async def streaming(mongo: str) -> AsyncIterator[Api]:
    """A context API with a database of its own."""
    async with serving(Settings(mongodb_uri=mongo, database="streams")) as api:
        yield api


@pytest.fixture(scope="session")
async def other(mongo: str, streaming: Api) -> AsyncIterator[Api]:
    """Another process of the same deployment."""
    async with serving(Settings(mongodb_uri=mongo, database="streams")) as api:
        yield api


async def subscribe(api: Api, tenant: str = "", **members: Any) -> str:
    """A subscription without endpoint to entities of the type that its id ends with, which nobody else has; its id."""
    name = f"Room{next(_numbers)}"
    body = {
        "id": f"urn:ngsi-ld:Subscription:{name}",
        "type": "Subscription",
        "entities": [{"type": name}],
        "notification": {"endpoint": {"uri": "stream:"}},
    } | members
    headers = {"NGSILD_Tenant": tenant} if tenant else {}
    status, _, problem = await api("POST", "subscriptions", body, **headers)
    assert status == 201, problem
    return str(body["id"])


async def write(api: Api, subscription: str, *values: float, entity: str = "one", tenant: str = "") -> None:
    """Gives an entity that the subscription is about these temperatures, one after the other."""
    kind = subscription.rpartition(":")[2]
    headers = {"NGSILD_Tenant": tenant} if tenant else {}
    for value in values:
        body = [entity_of(kind, entity, value)]
        status, _, problem = await api("POST", "entityOperations/upsert", body, **headers)
        assert status in (201, 204), problem


def entity_of(kind: str, name: str, value: float) -> dict[str, Any]:
    """An entity with a temperature."""
    made = room(f"urn:ngsi-ld:{kind}:{name}")
    return {**made, "type": kind, "temperature": {"type": "Property", "value": value}}
