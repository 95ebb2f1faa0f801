"""An entity that the broker cannot write holds nobody up; a broker in trouble makes the agent give up nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable

import orjson
import pytest
from aiohttp import web

from agents.errors import BrokerFails
from agents.fragment import Fragment
from agents.metrics import Metrics
from agents.northbound import PROBE_ID, Northbound
from agents.northbound_evidence import FORGET_S, LASTS_S, PROVEN_COUNT, TRIES_COUNT, Evidence, Subject
from agents.specification import Target
from tests.agents.receiver import Answer, Batch, Receiver, problem
from tests.agents.test_agent import OPEN, measures, ops, running, send, settings
from tests.agents.test_insight import command
from tests.agents.test_northbound import numbered
from tests.waiting import until

POISON = "urn:ngsi-ld:Camera:7"
SUBJECT: Subject = (Target("", ""), POISON)
TRIES = 4


def proven(evidence: Evidence, subject: Subject = SUBJECT, at_s: float = 0.0) -> bool:
    """Whether an entity is proven by as many failures as it takes, evenly over the time that it takes."""
    return [evidence.failed_alone(subject, at_s + LASTS_S * n / (TRIES_COUNT - 1)) for n in range(TRIES_COUNT)][-1]


def test_it_takes_many_failures_and_a_long_time() -> None:
    assert not any(Evidence().failed_alone(SUBJECT, LASTS_S * n) for n in (0, 1) for _ in range(TRIES_COUNT // 2 - 1))
    evidence = Evidence()
    assert not any(evidence.failed_alone(SUBJECT, LASTS_S * n / 100) for n in range(100)), "not long enough"
    evidence = Evidence()
    assert not any(evidence.failed_alone(SUBJECT, LASTS_S * n) for n in range(TRIES_COUNT - 1)), "not often enough"
    assert evidence.failed_alone(SUBJECT, LASTS_S * TRIES_COUNT)
    assert evidence.failed_alone(SUBJECT, LASTS_S * TRIES_COUNT + 1), "the next message of it needs no new proof"


@pytest.mark.parametrize("end", [lambda evidence: evidence.forget(), lambda evidence: evidence.decided(SUBJECT)])
def test_trouble_of_the_broker_and_a_success_begin_the_proof_anew(end: Callable[[Evidence], None]) -> None:
    evidence = Evidence()
    assert proven(evidence)
    end(evidence)
    assert not evidence
    assert not evidence.failed_alone(SUBJECT, LASTS_S + 1)
    assert proven(evidence, at_s=LASTS_S + 2)


def test_a_proof_that_is_old_is_none() -> None:
    evidence = Evidence()
    assert proven(evidence)
    assert not evidence.failed_alone(SUBJECT, LASTS_S + FORGET_S + 1)


def test_many_entities_are_no_fault_of_one() -> None:
    evidence = Evidence()
    subjects = [(SUBJECT[0], f"urn:ngsi-ld:Camera:{number}") for number in range(PROVEN_COUNT + 1)]
    assert [proven(evidence, subject) for subject in subjects] == [True] * PROVEN_COUNT + [False]


@pytest.fixture
async def northbound(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Northbound]:
    """One that takes no time over it."""
    monkeypatch.setattr("agents.northbound.delay_s", lambda *_: 0)
    monkeypatch.setattr("agents.northbound_evidence.LASTS_S", 0.0)
    monkeypatch.setattr("agents.northbound_evidence.TRIES_COUNT", TRIES)
    made = Northbound(receiver.url, 100, Metrics())
    await made.open()
    yield made
    await made.close()


def fails_whole(batch: Batch) -> web.Response | None:
    return problem(500) if any(entity["id"] == POISON for entity in batch) else None


def fails_in_part(batch: Batch) -> web.Response | None:
    return partly_failed(500) if any(entity["id"] == POISON for entity in batch) else None


def partly_failed(status: int) -> web.Response:
    errors = [{"entityId": POISON, "error": {"title": "InternalError", "status": status}}]
    return web.Response(status=207, body=orjson.dumps({"errors": errors}), headers={"refused": POISON})


def ids(batch: Batch) -> list[str]:
    return [entity["id"] for entity in batch]


def values_of(fragments: list[Fragment]) -> list[int]:
    return [orjson.loads(fragment.body)["n"]["value"] for fragment in fragments]


@pytest.mark.parametrize("answer", [fails_whole, fails_in_part])
async def test_an_entity_that_fails_while_others_are_written_is_given_up(
    northbound: Northbound, receiver: Receiver, answer: Answer
) -> None:
    receiver.answer = answer
    refusals = await northbound.commit(numbered(20))
    assert [refusal.fragment.entity_id for refusal in refusals] == [POISON]
    assert isinstance(refusals[0].error, BrokerFails)
    assert sorted(receiver.values("n")) == [number for number in range(20) if number != 7]
    assert sum(ids(batch) == [POISON] for batch in receiver.asked) >= TRIES - 1  # and once in company, if a 207 tells
    assert receiver.deleted == [PROBE_ID] * TRIES
    assert northbound.trouble is None
    # What comes later of it costs the others nothing but a request and a probe.
    receiver.asked.clear()
    refusals = await northbound.commit([*numbered(20), *numbered(8)[7:]])
    assert values_of([refusal.fragment for refusal in refusals]) == [7, 7]
    assert [len(batch) for batch in receiver.asked] == [19, 1, 1, 1, 1]
    # Mended: it is written again, in order.
    receiver.answer = lambda _: None
    receiver.asked.clear()
    assert await northbound.commit(numbered(20)) == []
    assert await northbound.commit(numbered(20)) == []
    assert [len(batch) for batch in receiver.asked] == [19, 1, 20]


async def waits(northbound: Northbound, receiver: Receiver, answer: Answer, requests_count: int = 100) -> None:
    """Nothing is given up as long as the broker answers so; afterwards everything is written, in order."""
    receiver.answer = answer
    commit = asyncio.create_task(northbound.commit(numbered(8) + numbered(8)))
    await until(lambda: len(receiver.asked) >= requests_count or commit.done())
    assert not commit.done()
    assert northbound.trouble
    receiver.answer = lambda _: None
    assert await asyncio.wait_for(commit, 10) == []
    assert receiver.values("n", POISON) == [7, 7]


async def test_a_broker_that_writes_nothing_is_waited_for(northbound: Northbound, receiver: Receiver) -> None:
    await waits(northbound, receiver, lambda _: problem(500))


@pytest.mark.parametrize("status", [502, 503, 504, 429, 404])
async def test_other_answers_prove_nothing(northbound: Northbound, receiver: Receiver, status: int) -> None:
    await waits(northbound, receiver, lambda batch: fails_whole(batch) and problem(status))


async def test_an_entry_of_another_status_proves_nothing(northbound: Northbound, receiver: Receiver) -> None:
    await waits(northbound, receiver, lambda batch: fails_whole(batch) and partly_failed(503))


async def test_a_probe_that_fails_now_and_then_proves_nothing(northbound: Northbound, receiver: Receiver) -> None:
    probes = iter(range(10**6))

    def answer(batch: Batch) -> web.Response | None:
        if ids(batch) == [PROBE_ID]:
            return problem(500) if next(probes) % (TRIES - 1) == TRIES - 2 else None
        return fails_whole(batch)

    await waits(northbound, receiver, answer)


async def test_what_may_not_be_given_up_is_tried_on(northbound: Northbound, receiver: Receiver) -> None:
    receiver.answer = fails_whole
    commit = asyncio.create_task(northbound.commit(numbered(8), lambda _: False))
    await until(lambda: len(receiver.asked) >= 50)
    assert not commit.done()
    receiver.answer = lambda _: None
    assert await asyncio.wait_for(commit, 10) == []
    assert receiver.deleted == []


PUMP = "urn:ngsi-ld:Pump:sick"


async def test_a_message_given_up_is_acknowledged_once_it_can_be_replayed(
    mqtt_url: str, mongo: str, receiver: Receiver, northbound: Northbound
) -> None:
    """`northbound` is asked for its patience only."""
    receiver.answer = lambda batch: problem(500) if any(entity["id"] == PUMP for entity in batch) else None
    chosen = settings(mqtt_url, receiver.url, mongodb_uri=mongo, database="givenup")
    async with running(chosen) as agent:
        await send(mqtt_url, *measures("sick", 1, 2), *measures("well", 3))
        await until(lambda: receiver.values("n") == [3])
        _, rejected = await ops(agent, "/rejected")
        assert [(each["reason"], each["topic"]) for each in rejected] == [("broker-fails", OPEN.format("sick"))] * 2
        assert (await ops(agent, "/ready"))[0] == 200
        receiver.answer = lambda _: None
        await command(agent, "replay", "--reason", "broker-fails")
        assert receiver.values("n", PUMP) == [1, 2]
    asked_count = len(receiver.asked)
    async with running(chosen):  # all have been acknowledged
        await send(mqtt_url, *measures("well", 4))
        await until(lambda: receiver.values("n", "urn:ngsi-ld:Pump:well") == [3, 4])
    assert [ids(batch) for batch in receiver.asked[asked_count:]] == [["urn:ngsi-ld:Pump:well"]]


async def test_without_a_place_to_keep_it_a_message_is_not_given_up(
    mqtt_url: str, receiver: Receiver, northbound: Northbound
) -> None:
    """`northbound` is asked for its patience only."""
    receiver.answer = lambda batch: problem(500) if any(entity["id"] == PUMP for entity in batch) else None
    async with running(settings(mqtt_url, receiver.url)) as agent:
        await send(mqtt_url, *measures("sick", 1))
        await until(lambda: len(receiver.asked) > 3 * TRIES)
        assert agent.rejections.latest() == []
        receiver.answer = lambda _: None
        await until(lambda: receiver.values("n") == [1])
