import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest
from aiohttp import web

from agents.fragment import Fragment
from agents.metrics import Metrics
from agents.northbound import Northbound
from agents.specification import Target
from tests.agents.receiver import Batch, Receiver, listening, partly, problem
from tests.waiting import until

CONTEXT = "https://medina.example/city/context.jsonld"


def fragment(entity: str, value: int, context: str = CONTEXT, tenant: str = "settat") -> Fragment:
    body = {"id": entity, "type": "Camera", "n": {"type": "Property", "value": value}}
    return Fragment(entity, orjson.dumps(body), Target(tenant, context))


def numbered(count: int) -> list[Fragment]:
    return [fragment(f"urn:ngsi-ld:Camera:{number}", number) for number in range(count)]


@pytest.fixture
async def northbound(receiver: Receiver) -> AsyncIterator[Northbound]:
    made = Northbound(receiver.url, 100, Metrics())
    await made.open()
    yield made
    await made.close()


async def test_batch_goes_out_as_the_standard_says(northbound: Northbound, receiver: Receiver) -> None:
    assert await northbound.commit(numbered(3)) == []
    assert receiver.values("n") == [0, 1, 2]
    assert receiver.query == {"options": "update"}
    assert receiver.headers["Content-Type"] == "application/json"
    assert receiver.headers["NGSILD-Tenant"] == "settat"
    assert receiver.headers["Link"] == (
        f'<{CONTEXT}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    )


async def test_no_tenant_and_no_context_no_header(receiver: Receiver) -> None:
    made = Northbound(receiver.url, 100, Metrics())
    await made.open()
    await made.commit([fragment("urn:ngsi-ld:Camera:1", 1, context="", tenant="")])
    await made.close()
    assert {"NGSILD-Tenant", "Link"}.isdisjoint(receiver.headers)


async def test_large_and_mixed_work_is_cut_into_batches_in_order(northbound: Northbound, receiver: Receiver) -> None:
    other = [fragment("urn:ngsi-ld:Pump:1", number, "https://medina.example/other.jsonld") for number in range(3)]
    await northbound.commit([*numbered(250), *other])
    assert [len(batch) for batch in receiver.asked] == [100, 100, 50, 3]
    assert receiver.values("n") == [*range(250), 0, 1, 2]


async def test_several_fragments_of_one_entity_stay_in_order(northbound: Northbound, receiver: Receiver) -> None:
    await northbound.commit([fragment("urn:ngsi-ld:Camera:1", number) for number in range(5)])
    assert receiver.values("n") == [0, 1, 2, 3, 4]


async def test_207_refuses_only_what_it_names(northbound: Northbound, receiver: Receiver) -> None:
    receiver.answer = lambda batch: partly("urn:ngsi-ld:Camera:1")
    refusals = await northbound.commit(numbered(3))
    assert [refusal.fragment.entity_id for refusal in refusals] == ["urn:ngsi-ld:Camera:1"]
    assert "BadRequestData: no" in str(refusals[0].error)
    assert receiver.values("n") == [0, 2]
    assert len(receiver.asked) == 1


async def test_207_for_an_entity_that_is_there_twice_is_settled_one_by_one(
    northbound: Northbound, receiver: Receiver
) -> None:
    def answer(batch: Batch) -> web.Response | None:
        return partly("urn:ngsi-ld:Camera:1") if any(entity["n"]["value"] == 2 for entity in batch) else None

    receiver.answer = answer
    refusals = await northbound.commit([fragment("urn:ngsi-ld:Camera:1", number) for number in (1, 2, 3)])
    assert [orjson.loads(refusal.fragment.body)["n"]["value"] for refusal in refusals] == [2]
    assert receiver.values("n") == [1, 3]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_refused_batch_is_halved_until_the_culprit_is_alone(
    northbound: Northbound, receiver: Receiver, status: int
) -> None:
    def answer(batch: Batch) -> web.Response | None:
        return problem(status) if any(entity["n"]["value"] == 37 for entity in batch) else None

    receiver.answer = answer
    refusals = await northbound.commit(numbered(64))
    assert [refusal.fragment.entity_id for refusal in refusals] == ["urn:ngsi-ld:Camera:37"]
    assert receiver.values("n") == [number for number in range(64) if number != 37]
    assert len(receiver.asked) <= 2 * 7


async def test_207_that_names_nothing_known_ends(northbound: Northbound, receiver: Receiver) -> None:
    for body in (b"", b"{}", b'{"errors": 1}', b'{"errors": [{"entityId": "urn:ngsi-ld:Camera:99"}]}'):
        receiver.answer = functools.partial(_multi_status, body)
        assert len(await northbound.commit(numbered(4))) == 4


def _multi_status(body: bytes, batch: Batch) -> web.Response:
    return web.Response(status=207, body=body)


async def test_207_without_errors_is_a_success(northbound: Northbound, receiver: Receiver) -> None:
    receiver.answer = lambda batch: partly()
    assert await northbound.commit(numbered(4)) == []
    assert len(receiver.asked) == 1


def _troubled(batch: Batch) -> web.Response:
    """A 207 with an entity that is refused, and one for which the broker itself had no means."""
    errors = [
        {"entityId": "urn:ngsi-ld:Camera:1", "error": {"title": "InternalError", "status": 503}},
        {"entityId": "urn:ngsi-ld:Camera:2", "error": {"title": "BadRequestData", "status": 400}},
    ]
    there = [error for error in errors if any(entity["id"] == error["entityId"] for entity in batch)]
    refused = " ".join(str(error["entityId"]) for error in there)
    return web.Response(status=207, body=orjson.dumps({"success": [], "errors": there}), headers={"refused": refused})


async def test_brokers_own_trouble_with_an_entity_is_waited_out(
    northbound: Northbound, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.northbound.delay_s", lambda *_: 0)
    rounds = 2 * sys.getrecursionlimit() // 3  # as of a MongoDB that is away for an hour
    receiver.answer = lambda batch: _troubled(batch) if len(receiver.asked) <= rounds else None
    commit = asyncio.create_task(northbound.commit(numbered(4)))
    await until(lambda: northbound.trouble == "InternalError")
    assert await northbound.why_not_reachable() == "InternalError"
    assert [refusal.fragment.entity_id for refusal in await commit] == ["urn:ngsi-ld:Camera:2"]
    assert [len(batch) for batch in receiver.asked] == [4, *[1] * rounds]
    assert receiver.values("n") == [0, 3, 1]
    assert northbound.trouble is None


@pytest.mark.parametrize("status", [500, 503, 429, 404, 401, 302])
async def test_undecided_answers_are_tried_again(northbound: Northbound, receiver: Receiver, status: int) -> None:
    answers = [problem(status), problem(status)]
    receiver.answer = lambda batch: answers.pop() if answers else None
    assert await northbound.commit(numbered(2)) == []
    assert receiver.asked[0] == receiver.asked[1] == receiver.asked[2]
    assert receiver.values("n") == [0, 1]
    assert northbound.trouble is None


async def test_a_server_without_batches_is_told_to_the_operator(receiver: Receiver) -> None:
    elsewhere = Northbound(f"{receiver.url}/elsewhere", 100, Metrics())
    await elsewhere.open()
    commit = asyncio.create_task(elsewhere.commit(numbered(1)))
    await until(lambda: "404; MEDINA_BROKER_URL" in (elsewhere.trouble or ""))
    commit.cancel()
    await asyncio.gather(commit, return_exceptions=True)
    await elsewhere.close()


async def test_retry_after_is_honoured(northbound: Northbound, receiver: Receiver) -> None:
    when = datetime.now(UTC) + timedelta(seconds=3)
    answers = [problem(503, Retry_After="1"), problem(503, Retry_After=format_datetime(when, usegmt=True))]
    receiver.answer = lambda batch: answers.pop() if answers else None
    started = asyncio.get_running_loop().time()
    await northbound.commit(numbered(1))
    assert asyncio.get_running_loop().time() - started >= 2.5


async def test_broker_that_is_away_is_waited_for(free_port: Callable[[], int]) -> None:
    port = free_port()
    made = Northbound(f"http://127.0.0.1:{port}", 100, Metrics())
    await made.open()
    commit = asyncio.create_task(made.commit(numbered(3)))
    await until(lambda: made.trouble)
    assert await made.why_not_reachable()
    assert not commit.done()
    async with listening(Receiver(), port) as receiver:
        assert await asyncio.wait_for(commit, 10) == []
        assert receiver.values("n") == [0, 1, 2]
        assert await made.why_not_reachable() is None
    await made.close()


async def test_broker_that_hangs_is_asked_again(
    northbound: Northbound, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.northbound.TIMEOUT_S", 0.2)
    impatient = Northbound(receiver.url, 100, Metrics())
    await impatient.open()
    receiver.open.clear()
    commit = asyncio.create_task(impatient.commit(numbered(1)))
    await until(lambda: len(receiver.asked) >= 2)
    receiver.open.set()
    assert await asyncio.wait_for(commit, 10) == []
    await impatient.close()
