"""Long lists of subscriptions, dead letters and @contexts: made while the client takes them, like those of entities."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from broker.settings import Settings
from tests.broker.api.conftest import Api, serving

DATABASE = "longlists"
COUNT = 8
TEXT = "0123456789" * 40_000
IDS = [f"urn:ngsi-ld:Subscription:{number}" for number in range(COUNT)]
LETTERS = f"../ex/v1/subscriptions/{IDS[0]}/deadLetters"
Client = AsyncMongoClient[dict[str, Any]]


@pytest.fixture(scope="module")
async def client(mongo: str) -> AsyncIterator[Client]:
    """MongoDB as its operator sees it."""
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        yield client


@pytest.fixture(scope="module")
async def api(mongo: str) -> AsyncIterator[Api]:
    """An API with 3 MB of subscriptions."""
    async with serving(Settings(mongodb_uri=mongo, database=DATABASE)) as api:
        for known in IDS:
            body: dict[str, Any] = {
                "id": known,
                "type": "Subscription",
                "description": TEXT,
                "watchedAttributes": ["temperature"],
            }
            body["notification"] = {"endpoint": {"uri": "http://127.0.0.1:9/"}}
            assert (await api("POST", "subscriptions", body))[0] == 201
        yield api


@pytest.fixture(scope="module")
async def letters(client: Client) -> None:
    """3 MB of dead letters of the first subscription."""
    row: dict[str, Any] = {"subscription": IDS[0], "state": "dead", "deadAt": "2026-01-01T00:00:00.000Z"}
    row |= {"error": "too old", "entities": [], "body": b'{"data":"%b"}' % TEXT.encode()}
    rows = [{**row, "sequence": str(number), "notification": str(number)} for number in range(COUNT)]
    await client[DATABASE]["deliveries"].insert_many(rows)


@pytest.mark.clause("5.8.4")
async def test_subscriptions(api: Api) -> None:
    status, headers, whole = await api("GET", f"subscriptions?limit={COUNT}")
    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    assert 'rel="next"' not in headers["link"]
    assert [item["id"] for item in whole] == IDS
    alone = (await api("GET", f"subscriptions/{IDS[3]}"))[2]
    assert whole[3] == alone


@pytest.mark.clause("5.8.4")
async def test_subscriptions_with_their_context(api: Api) -> None:
    _, headers, whole = await api("GET", f"subscriptions?limit={COUNT}", Accept="application/ld+json")
    assert headers["content-type"] == "application/ld+json"
    alone = (await api("GET", f"subscriptions/{IDS[3]}", Accept="application/ld+json"))[2]
    assert "@context" in alone
    assert whole[3] == alone


async def test_dead_letters(api: Api, letters: None) -> None:
    status, headers, whole = await api("GET", f"{LETTERS}?limit={COUNT}", Accept="application/ld+json")
    assert (status, headers["transfer-encoding"], headers["content-type"]) == (200, "chunked", "application/json")
    assert [item["id"] for item in whole] == [f"urn:ngsi-ld:Notification:{number}" for number in range(COUNT)]
    alone = (await api("GET", f"{LETTERS}/3"))[2]
    assert whole[3] == alone


@pytest.mark.parametrize("path", ["subscriptions", LETTERS])
async def test_a_long_page_leads_to_the_next(api: Api, letters: None, path: str) -> None:
    _, headers, found = await api("GET", f"{path}?limit=4&count=true")
    assert (len(found), headers["ngsild-results-count"]) == (4, str(COUNT))
    assert "limit=4&offset=4" in headers["link"]
    _, headers, others = await api("GET", f"{path}?limit=4&offset=4")
    assert len({item["id"] for item in found + others}) == COUNT
    assert 'rel="next"' not in headers["link"]


@pytest.mark.clause("5.13.3")
@pytest.mark.parametrize("details", ["false", "true"])
async def test_contexts(api: Api, client: Client, details: str) -> None:
    urls = [f"https://vendor.example/{number}/{'x' * 1000}" for number in range(1200)]
    made = [
        {"_id": f"{details}{number}", "kind": "Cached", "url": url, "text": "{}", "createdAt": "2026", "hits": 0}
        for number, url in enumerate(urls)
    ]
    await client[DATABASE]["contexts"].insert_many(made)
    status, headers, whole = await api("GET", f"jsonldContexts?details={details}", Accept="application/ld+json")
    assert (status, headers["transfer-encoding"], headers["content-type"]) == (200, "chunked", "application/ld+json")
    assert {item["URL"] for item in whole} >= set(urls) if details == "true" else set(whole) >= set(urls)
