"""Writes share flushes, and nobody notices: none is swallowed, none lost, none acknowledged that is not stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.end_to_end.city import City, request, running
from tests.end_to_end.crowd import Call, answers
from tests.end_to_end.process import Process
from tests.waiting import until

FLUSHES = "medina_commit_flush_requests_count"
WRITES = "medina_commit_flush_requests_sum"
CONFLICTS = "medina_commit_conflicts_total"


@pytest.fixture
def zone(city: City) -> str:
    """Id of a new entity with n = -1."""
    entity = f"urn:ngsi-ld:Zone:{uuid4()}"
    answer = city.api("POST", "/entities", {"id": entity, "type": "Zone", "n": number(-1)})
    assert answer.status == 201, answer
    return entity


@pytest.fixture
def second(city: City) -> Iterator[Process]:
    """Another context API on the same database."""
    with running(city, "second", {}) as process:
        yield process


def number(value: int) -> dict[str, object]:
    return {"type": "Property", "value": value}


def updates(port: int, entity: str, count: int) -> list[Call]:
    return [Call(port, "PATCH", f"/entities/{entity}/attrs", {"n": number(value)}) for value in range(count)]


async def test_each_update_of_one_flush_gives_its_own_notification(city: City, zone: str) -> None:
    city.subscribe("Zone")
    before = city.metrics("broker")
    done = await answers(updates(city.ports["broker"], zone, 300))
    assert Counter(answer.status for answer in done) == {204: 300}
    after = city.metrics("broker")
    assert after[WRITES] - before[WRITES] == 300
    assert after[FLUSHES] - before[FLUSHES] < 150, "they were meant to share flushes"
    await until(lambda: city.record.arrivals().get(zone) and city.record.arrivals()[zone].seen >= set(range(300)), 10)


def test_an_idle_system_answers_each_write_in_a_flush_of_its_own(city: City, zone: str) -> None:
    before = city.metrics("broker")
    for call in updates(0, zone, 10):
        assert city.api(call.method, call.path, call.body).status == 204
    after = city.metrics("broker")
    assert (after[FLUSHES] - before[FLUSHES], after[WRITES] - before[WRITES]) == (10, 10)


async def test_two_processes_lose_no_update_of_one_entity(city: City, zone: str, second: Process) -> None:
    city.subscribe("Zone")
    ports = (city.ports["broker"], city.ports[second.name])
    path = f"/entities/{zone}/attrs"
    calls = [Call(ports[n % 2], "POST", path, {f"a{n}": number(n), "n": number(n)}) for n in range(200)]
    assert {answer.status for answer in await answers(calls)} == {204}
    stored = city.api("GET", f"/entities/{zone}?options=keyValues").json()
    assert {name: stored.get(name) for name in (f"a{n}" for n in range(200))} == {f"a{n}": n for n in range(200)}
    await until(lambda: city.record.arrivals().get(zone) and city.record.arrivals()[zone].seen >= set(range(200)), 10)
    conflicts = city.metrics("broker")[CONFLICTS] + city.metrics(second.name)[CONFLICTS]
    assert conflicts > 0, "the processes were meant to get into each other's way"


async def test_a_full_queue_answers_503_with_retry_after(city: City, zone: str) -> None:
    with running(city, "narrow", {"MEDINA_QUEUE_COUNT": "20", "MEDINA_FLUSH_COUNT": "5"}) as narrow:
        port = city.ports[narrow.name]
        done = await answers(updates(port, zone, 500), connections=200)
        refused = [answer for answer in done if answer.status == 503]
        assert Counter(answer.status for answer in done) == {204: 500 - len(refused), 503: len(refused)}
        assert refused
        for answer in refused:
            assert int(answer.headers["Retry-After"]) >= 1
            assert json.loads(answer.text)["status"] == 503
        value = {"n": number(1000)}
        assert request(port, "PATCH", f"/ngsi-ld/v1/entities/{zone}/attrs", value).status == 204
