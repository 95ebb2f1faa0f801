"""The pilots' client of the NGSI-LD API, against the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from pilots.campus.follower import page_subscription
from pilots.campus.site import CONTEXT_URL
from pilots.context_api import PAGE_SIZE, ContextApi, agrees
from pilots.errors import ApiRefused, ApiUnavailable
from tests.conftest import unused_port
from tests.pilots.campus_stack import CampusStack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, mongo: str, mqtt_url: str) -> Iterator[CampusStack]:
    """The context API alone."""
    running = CampusStack(tmp_path_factory.mktemp("api"), mongo, mqtt_url)
    try:
        running.parts["broker"].start()
        yield running
    finally:
        running.stop()


@pytest.fixture
async def api(stack: CampusStack) -> AsyncIterator[ContextApi]:
    async with aiohttp.ClientSession() as session:
        yield ContextApi(session, f"http://127.0.0.1:{stack.ports['broker']}", CONTEXT_URL)


def probe(number: int, text: str = "2026-03-02T12:00:00Z") -> dict[str, object]:
    return {
        "id": f"urn:ngsi-ld:Probe:{number}",
        "type": "Probe",
        "dateObserved": {"type": "Property", "value": text},
    }


async def test_a_query_reads_every_page(api: ContextApi) -> None:
    written = [probe(number) for number in range(PAGE_SIZE + 7)]
    await api.upsert(written[:400])
    await api.upsert(written[400:])
    found = [entity["id"] async for entity in api.query("Probe")]
    assert sorted(found) == sorted(str(entity["id"]) for entity in written)


async def test_a_query_may_ask_for_a_part(api: ContextApi) -> None:
    await api.upsert([probe(1, "2026-03-03T00:00:00.000Z"), probe(2, "2026-03-02T23:59:59.999Z")])
    found = [entity["id"] async for entity in api.query("Probe", "dateObserved>=2026-03-03T00:00:00.000Z")]
    assert found == ["urn:ngsi-ld:Probe:1"]


async def test_an_upsert_adds_or_replaces(api: ContextApi) -> None:
    thing = {"id": "urn:ngsi-ld:Thing:1", "type": "Thing"}
    await api.upsert([{**thing, "name": {"type": "Property", "value": "a"}}])
    await api.upsert([{**thing, "capacity": {"type": "Property", "value": 1}}])
    [both] = [entity async for entity in api.query("Thing")]
    assert {"name", "capacity"} <= set(both)
    await api.upsert([{**thing, "capacity": {"type": "Property", "value": 2}}], replace=True)
    [replaced] = [entity async for entity in api.query("Thing")]
    assert "name" not in replaced


async def test_a_subscription_is_created_kept_and_corrected(api: ContextApi) -> None:
    first, moved = page_subscription("http://127.0.0.1:1/notify"), page_subscription("http://127.0.0.1:2/notify")
    assert await api.subscribe(first) is True
    assert await api.subscribe(first) is False
    assert await api.subscribe(moved) is True
    found = await api.subscription(moved["id"])
    assert found is not None
    assert found["notification"]["endpoint"]["uri"] == "http://127.0.0.1:2/notify"


async def test_errors_of_the_api_are_told_apart(api: ContextApi) -> None:
    assert await api.subscription("urn:ngsi-ld:Subscription:nobody") is None
    with pytest.raises(ApiRefused, match="400"):
        await api.upsert([])
    with pytest.raises(ApiRefused, match="upsert"):
        await api.upsert([probe(1), {"id": "no uri", "type": "Probe"}])
    async with aiohttp.ClientSession() as session:
        nobody = ContextApi(session, f"http://127.0.0.1:{unused_port()}", CONTEXT_URL)
        with pytest.raises(ApiUnavailable, match="connection refused"):
            await nobody.subscription("urn:ngsi-ld:Subscription:nobody")


def test_a_subscription_agrees_with_itself_plus_counters_only() -> None:
    wanted = page_subscription("http://127.0.0.1:1/notify")
    counted = {**wanted, "status": "active", "notification": {**wanted["notification"], "timesSent": 3}}
    assert agrees(wanted, counted)
    assert not agrees(wanted, {**counted, "entities": wanted["entities"][1:]})
    assert not agrees(wanted, {name: counted[name] for name in counted if name != "entities"})
    assert not agrees(wanted, {**counted, "notification": None})
