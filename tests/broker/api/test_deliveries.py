"""How deliveries fare, told by the API: a real broker, a real notifier, a real receiver."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from statistics import median
from typing import Any

import pytest

from broker.notify.service import running_notifier
from broker.notify.settings import DeliverySettings
from broker.settings import Settings
from tests.broker.api.conftest import Api, serving
from tests.broker.notify.receiver import Receiver
from tests.waiting import until

DATABASE = "deliveriestest"
EX = "../ex/v1/subscriptions"


@pytest.fixture(scope="module")
async def api(mongo: str) -> AsyncIterator[Api]:
    settings = Settings(mongodb_uri=mongo, database=DATABASE)
    quick = DeliverySettings(first_retry_s=0.02, retry_cap_s=0.1, max_age_s=0.6)
    async with serving(settings) as api, running_notifier(settings, quick) as running:
        await until(lambda: not any(running.checks().values()))
        yield api


@pytest.fixture
async def receiver(free_port: Callable[[], int]) -> AsyncIterator[Receiver]:
    made = Receiver(free_port())
    await made.start()
    yield made
    await made.stop()


class Subject:
    """A subscription to one type of entities, and the entities."""

    def __init__(self, api: Api, name: str, tenant: str = "") -> None:
        self.api = api
        self.name = name
        self.id = f"urn:ngsi-ld:Subscription:{name}"
        self.headers = {"NGSILD_Tenant": tenant} if tenant else {}

    async def subscribe(self, receiver: Receiver, **members: Any) -> None:
        body = {
            "id": self.id,
            "type": "Subscription",
            "entities": [{"type": self.name}],
            "notification": {"endpoint": {"uri": receiver.uri}},
        }
        assert (await self.api("POST", "subscriptions", body | members, **self.headers))[0] == 201

    async def write(self, number: int, value: int) -> None:
        temperature = {"type": "Property", "value": value}
        entity = {"id": f"urn:ngsi-ld:{self.name}:{number}", "type": self.name, "temperature": temperature}
        answer = await self.api("POST", "entityOperations/upsert", [entity], **self.headers)
        assert answer[0] in (201, 204)

    async def deliveries(self) -> dict[str, Any]:
        status, _, shown = await self.api("GET", f"{EX}/{self.id}/deliveries", **self.headers)
        assert status == 200
        return dict(shown)

    async def in_state(self, state: str) -> dict[str, Any]:
        """The deliveries if that is their state, else nothing."""
        shown = await self.deliveries()
        return shown if shown["state"] == state else {}

    async def letters(self, count: int) -> list[dict[str, Any]]:
        """The dead letters if there are as many, else nothing."""
        status, _, found = await self.api("GET", f"{EX}/{self.id}/deadLetters", **self.headers)
        assert status == 200
        return list(found) if len(found) == count else []


@pytest.mark.clause("5.8.6")
async def test_deliveries_tell_state_reason_and_attempts(api: Api, receiver: Receiver) -> None:
    subject = Subject(api, "Well")
    await subject.subscribe(receiver)
    shown = await subject.deliveries()
    assert (shown["state"], shown["reason"], shown["attempts"]) == ("idle", "nothing was to be told yet", [])
    await subject.write(1, 1)
    shown = await until(lambda: subject.in_state("ok"))
    (attempt,) = shown["attempts"]
    assert (attempt["delivered"], attempt["code"], attempt["entityCount"]) == (True, 204, 1)
    receiver.answer = 503
    await subject.write(1, 2)
    shown = await until(lambda: subject.in_state("failing"))
    assert shown["reason"] == "answer 503 Service Unavailable"
    assert shown["consecutiveFailures"] >= 1
    assert shown["nextAttemptAt"] >= shown["lastFailure"]
    assert shown["attempts"][0]["error"] == shown["reason"]
    receiver.answer = 200
    await subject.write(1, 3)
    shown = await until(lambda: subject.in_state("ok"))
    assert "nextAttemptAt" not in shown


@pytest.mark.clause("5.8.6")
async def test_counters_are_there_when_the_receiver_has_answered(api: Api, receiver: Receiver) -> None:
    subject = Subject(api, "Counted")
    await subject.subscribe(receiver)
    waited_s = []
    for number in range(1, 6):
        await subject.write(number, 1)
        await until(partial(_has_received, receiver, number), every_s=0.001)
        answered_at_s = asyncio.get_running_loop().time()
        shown = await until(partial(_sent, subject, number), every_s=0.005)
        waited_s.append(asyncio.get_running_loop().time() - answered_at_s)
        assert shown["timesSent"] == number
    assert median(waited_s) < 0.25, "not each one: the machine may have other things to do"


@pytest.mark.clause("5.8.6")
async def test_a_pause_has_a_reason(api: Api, receiver: Receiver) -> None:
    subject = Subject(api, "Gone")
    receiver.answer = 410
    await subject.subscribe(receiver)
    await subject.write(1, 1)
    shown = await until(lambda: subject.in_state("paused"))
    assert "410 Gone" in shown["reason"]
    assert shown["status"] == "paused"
    assert shown["waitingCount"] == 1
    assert (await api("GET", f"subscriptions/{subject.id}"))[2]["isActive"] is False
    paused = Subject(api, "Paused")
    await paused.subscribe(receiver, isActive=False)
    assert "isActive is false" in (await paused.deliveries())["reason"]


@pytest.mark.clause("5.8.6")
@pytest.mark.parametrize("tenant", ["", "settat"])
async def test_dead_letters_are_listed_replayed_and_dropped(api: Api, receiver: Receiver, tenant: str) -> None:
    subject = Subject(api, f"Dead{tenant}", tenant)
    receiver.answer = 500
    await subject.subscribe(receiver)
    for value in range(3):
        await subject.write(1, value)
    letters = await until(lambda: subject.letters(3))
    assert [letter["notification"]["data"][0]["temperature"]["value"] for letter in letters] == [0, 1, 2]
    assert letters[0]["reason"] == "not delivered within 0.6 s"
    assert letters[0]["entities"] == [f"urn:ngsi-ld:{subject.name}:1"]
    path = f"{EX}/{subject.id}/deadLetters"
    status, headers, page = await api("GET", f"{path}?limit=2&count=true", **subject.headers)
    assert (status, headers["ngsild-results-count"], len(page)) == (200, "3", 2)
    assert "/ngsi-ld/ex/v1/subscriptions/" in headers["link"]
    assert (await api("DELETE", f"{path}/{letters[0]['id']}", **subject.headers))[0] == 204
    assert (await api("GET", f"{path}/{letters[0]['id']}", **subject.headers))[0] == 404
    assert (await api("GET", f"{path}/{letters[1]['id']}", **subject.headers))[2] == letters[1]
    receiver.answer = 204
    assert (await api("POST", f"{path}/{letters[2]['id']}/replay", **subject.headers))[0] == 204
    await until(lambda: receiver.received, within_s=3)
    assert receiver.received[0]["id"] == letters[2]["id"]
    assert (await api("POST", f"{path}/replay", **subject.headers))[2] == {"count": 1}
    await until(lambda: len(receiver.received) == 2)
    assert receiver.received[1] == letters[1]["notification"]
    await subject.write(1, 9)
    await until(lambda: len(receiver.received) == 3)
    assert (await subject.deliveries())["deadLetterCount"] == 0
    assert (await api("DELETE", path, **subject.headers))[0] == 204


@pytest.mark.clause("5.8.6")
async def test_what_is_held_back_is_counted(api: Api, receiver: Receiver) -> None:
    subject = Subject(api, "Throttled")
    await subject.subscribe(receiver, throttling=30)
    await subject.write(1, 1)
    await until(lambda: receiver.received)
    await subject.write(1, 2)
    await subject.write(2, 2)
    shown = await until(lambda: subject.in_state("throttled"))
    shown = await until(lambda: _held(subject, 2))
    assert shown["waitingCount"] == 0


@pytest.mark.clause("5.8.6")
@pytest.mark.parametrize("path", ["deliveries", "deadLetters", "deadLetters/urn:ngsi-ld:Notification:1"])
async def test_of_an_unknown_subscription_nothing_is_told(api: Api, path: str) -> None:
    assert (await api("GET", f"{EX}/urn:ngsi-ld:Subscription:unknown/{path}"))[0] == 404


def _has_received(receiver: Receiver, count: int) -> bool:
    return len(receiver.received) == count


async def _sent(subject: Subject, count: int) -> dict[str, Any]:
    notification: dict[str, Any] = (await subject.api("GET", f"subscriptions/{subject.id}"))[2]["notification"]
    return notification if notification.get("timesSent") == count else {}


async def _held(subject: Subject, count: int) -> dict[str, Any]:
    shown = await subject.deliveries()
    return shown if shown["heldBackCount"] == count else {}
