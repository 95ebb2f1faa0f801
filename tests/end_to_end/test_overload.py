"""More than the system can take: it says so or leaves it in the MQTT broker, and its memory stays bounded."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.end_to_end.city import City, published, request, running
from tests.end_to_end.crowd import Call, answers
from tests.waiting import until_sync

API_PEAK_MB = 600
AGENT_GROWTH_MB = 40
WAITING_COUNT = 2_000
MEASURES = 20_000
LOADED = "urn:ngsi-ld:Load:"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("body_bytes", "requests"), [(1_000_000, 300), (9_000_000, 80)])
async def test_memory_of_the_context_api_is_bounded(city: City, body_bytes: int, requests: int) -> None:
    with running(city, f"flooded-{body_bytes}", {}) as api:
        calls = [Call(city.ports[api.name], "POST", "/entityOperations/upsert", batch(body_bytes))] * requests
        done = Counter(answer.status for answer in await answers(calls, connections=requests))
        assert set(done) <= {201, 204, 503}, done
        assert done[503], "it was meant to be more than the context API can take"
        assert api.usage().peak_mb < API_PEAK_MB
        assert request(city.ports[api.name], "GET", f"/ngsi-ld/v1/entities/{LOADED}0").status == 200


def batch(body_bytes: int) -> bytes:
    """An upsert of 100 entities of `body_bytes` in all."""
    text = {"type": "Property", "value": "x" * (body_bytes // 100)}
    return json.dumps([{"id": f"{LOADED}{one}", "type": "Load", "text": text} for one in range(100)]).encode()


@pytest.mark.timeout(120)
def test_memory_of_the_agent_is_bounded_while_the_api_is_down(city: City) -> None:
    city.subscribe("Device")
    city.parts["agent"].stop()
    agent = city.role("agent", "narrow-agent", {"MEDINA_WAITING_COUNT": str(WAITING_COUNT)})
    agent.start()
    try:
        start_mb = agent.usage().peak_mb
        city.parts["broker"].kill()
        publisher = city.publisher(prefix="flood-", devices=100, count=MEASURES)
        assert published(publisher, within_s=30)["acknowledged"] == MEASURES
        until_sync(lambda: city.metrics(agent.name)["medina_agent_waiting"] > 0, within_s=10)
        city.start("broker")
        until_sync(lambda: sum(len(one.seen) for one in city.record.arrivals().values()) >= MEASURES, 60, every_s=0.5)
        assert sum(one.disordered for one in city.record.arrivals().values()) == 0
        assert agent.usage().peak_mb - start_mb < AGENT_GROWTH_MB
    finally:
        agent.end()
