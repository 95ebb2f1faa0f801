"""A whole way from a device to an entity: MQTT broker, agent, context API, MongoDB; all real."""

import asyncio
import io
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from agents.agent import Agent
from agents.settings import Settings
from broker.notify.service import running_notifier
from broker.notify.settings import DeliverySettings
from broker.settings import Settings as BrokerSettings
from tests.broker.api.conftest import Api, serving
from tests.end_to_end.device import publish
from tests.waiting import until

KEY = "key of the contract tests"
_numbers = itertools.count()


class Site:
    """One agent with what it works with, and the clients of a test."""

    def __init__(self, agent: Agent, mqtt_url: str, api: Api, session: aiohttp.ClientSession) -> None:
        self.agent = agent
        self.north = f"http://127.0.0.1:{agent.port}"
        self.south = f"http://127.0.0.1:{agent.south_port}"
        self.mqtt_url = mqtt_url
        self.api = api
        self._session = session

    async def request(
        self, method: str, url: str, body: Any = None, data: bytes | str | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, body (JSON where it is) and headers in lower case; underscores in header names stand for hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = io.BytesIO(data) if isinstance(data, bytes) else data
        async with self._session.request(method, url, json=body, data=content, headers=sent) as response:
            text = await response.text()
            parsed = await response.json() if response.content_type == "application/json" and text else text
            return response.status, parsed, {name.lower(): text for name, text in response.headers.items()}

    async def provision(
        self, method: str, path: str, body: Any = None, service: str = "openiot", path_of_service: str = "/"
    ) -> tuple[int, Any]:
        """Ask the provisioning API, as every script does: with the two headers."""
        headers = {"fiware_service": service, "fiware_servicepath": path_of_service}
        status, answer, _ = await self.request(method, self.north + path, body, **headers)
        return status, answer

    async def publish(self, topic: str, payload: str | bytes) -> None:
        """Publish with QoS 1."""
        sent = payload.encode() if isinstance(payload, str) else payload
        await asyncio.to_thread(publish, self.mqtt_url, [(topic, sent)])

    async def entity(self, entity_id: str, tenant: str = "openiot") -> dict[str, Any] | None:
        """The entity, None while there is none."""
        status, _, body = await self.api("GET", f"entities/{entity_id}", NGSILD_Tenant=tenant)
        return body if status == 200 else None

    async def arrived(self, entity_id: str, tenant: str = "openiot", **wanted: Any) -> dict[str, Any]:
        """The entity, as soon as its attributes have these values."""

        async def there() -> dict[str, Any] | None:
            found = await self.entity(entity_id, tenant)
            if found is None:
                return None
            values = {name: _value(found.get(name)) for name in wanted}
            return found if values == wanted else None

        found: dict[str, Any] | None = await until(there, within_s=10)
        assert found is not None
        return found


def _value(attribute: Any) -> Any:
    return attribute.get("value", attribute.get("object")) if isinstance(attribute, dict) else attribute


@asynccontextmanager
async def running_site(mongo: str, mqtt_url: str, api: Api, **changes: Any) -> AsyncIterator[Site]:
    """An agent without device files."""
    chosen: dict[str, Any] = {
        "mqtt_url": mqtt_url,
        "mongodb_uri": mongo,
        "database": "contract",
        "broker_url": api.address,
        "mqtt_client_id": f"contract-{next(_numbers)}",
        "pseudonym_key": KEY,
        "agent_port": 0,
        "south_port": 0,
    }
    agent, stop = Agent(Settings(**(chosen | changes))), asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    try:
        await until(lambda: task.done() or agent.is_connected, within_s=10)
        # The agent closes connections that are idle for some seconds, perhaps just when the next request is on its way.
        connector = aiohttp.TCPConnector(keepalive_timeout=2)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Site(agent, mqtt_url, api, session)
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


@pytest.fixture(scope="session")
async def context_api(mongo: str) -> AsyncIterator[Api]:
    """The context API behind the agents of these tests."""
    async with serving(
        BrokerSettings(mongodb_uri=mongo, database="contract", contexts="pilots/campus/contexts")
    ) as api:
        yield api


@pytest.fixture(scope="session")
async def notifier(mongo: str, context_api: Api) -> AsyncIterator[None]:
    """The notifier of that context API: without it no agent learns of commands."""
    settings = BrokerSettings(mongodb_uri=mongo, database="contract", contexts="pilots/campus/contexts")
    async with running_notifier(settings, DeliverySettings(first_retry_s=0.05, retry_cap_s=0.2)) as running:
        await until(lambda: not any(running.checks().values()))
        yield


@pytest.fixture(scope="session")
async def site(mongo: str, mqtt_url: str, context_api: Api) -> AsyncIterator[Site]:
    """An agent that the tests share: each uses apikeys of its own."""
    async with running_site(mongo, mqtt_url, context_api) as running:
        yield running
