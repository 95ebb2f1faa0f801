"""More than the system can take: it says so or leaves it in the MQTT broker, and its memory stays bounded."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.end_to_end.city import City, published
from tests.end_to_end.crowd import Call, answers
from tests.waiting import until_sync

API_PEAK_MB = 500
AGENT_GROWTH_MB = 40
WAITING_COUNT = 2_000
MEASURES = 20_000
BODY_BYTES = 1_000_000


@pytest.mark.timeout(120)
async def test_memory_of_the_context_api_is_bounded(city: City) -> None:
    api = city.parts["broker"]
    api.reset_peak()
    text = "x" * (BODY_BYTES // 100)
    batches = [
        [
            {"id": f"urn:ngsi-ld:Load:{batch}-{one}", "type": "Load", "text": {"type": "Property", "value": text}}
            for one in range(100)
        ]
        for batch in range(10)
    ]
    port = city.ports["broker"]
    calls = [Call(port, "POST", "/entityOperations/upsert", batches[n % len(batches)]) for n in range(400)]
    done = Counter(answer.status for answer in await answers(calls, connections=200))
    assert set(done) <= {201, 204, 503}, done
    assert api.usage().peak_mb < API_PEAK_MB
    assert city.api("GET", "/entities/urn:ngsi-ld:Load:0-0").status == 200


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
