"""Pages of many megabytes: made while the client takes them, so that they cost the broker little memory."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from pymongo import AsyncMongoClient

from broker.settings import Settings
from tests.broker.api.conftest import Api, serving
from tests.builders import room
from tests.waiting import until

COUNT = 40
_TEXT = "0123456789" * 90_000
PATH = "entities?type=Broad"
Client = AsyncMongoClient[dict[str, Any]]


@pytest.fixture(scope="module")
async def api(mongo: str) -> AsyncIterator[Api]:
    """An API with 36 MB of entities of one type, which MongoDB hands out in three batches."""
    async with serving(Settings(mongodb_uri=mongo, database="longanswers")) as api:
        for start in range(0, COUNT, 8):
            made = [room(f"urn:ngsi-ld:Broad:{start + number:02}", type="Broad", text=_TEXT) for number in range(8)]
            body = json.dumps(made).encode()
            assert (await api("POST", "entityOperations/create", body, Content_Type="application/json"))[0] == 201
        yield api


@pytest.fixture
async def client(mongo: str) -> AsyncIterator[Client]:
    """MongoDB as its operator sees it."""
    async with AsyncMongoClient[dict[str, Any]](mongo) as client:
        yield client


async def open_cursors(client: Client) -> list[dict[str, Any]]:
    """The queries on the entities here of which MongoDB has more to tell."""
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True}},
        {"$match": {"type": "idleCursor", "ns": "longanswers.entities"}},
    ]
    async with await client.admin.aggregate(stages) as found:
        return await found.to_list()


@pytest.mark.parametrize("accept", ["application/json", "application/ld+json", "application/geo+json"])
async def test_a_page_of_many_megabytes_is_what_its_parts_are(api: Api, accept: str) -> None:
    status, headers, whole = await api("GET", f"{PATH}&limit={COUNT}", Accept=accept)
    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    assert "content-length" not in headers
    assert 'rel="next"' not in headers.get("link", "")
    one = (await api("GET", f"{PATH}&limit=1&offset=17", Accept=accept))[2]
    if accept == "application/geo+json":
        assert whole.keys() == one.keys()
        whole, one = whole["features"], one["features"]
    assert [item["id"] for item in whole] == [f"urn:ngsi-ld:Broad:{number:02}" for number in range(COUNT)]
    assert whole[17] == one[0]


async def test_a_page_of_many_megabytes_leads_to_the_next(api: Api) -> None:
    _, headers, found = await api("GET", f"{PATH}&limit=20&count=true")
    assert (len(found), headers["ngsild-results-count"]) == (20, str(COUNT))
    assert "limit=20&offset=20" in headers["link"]
    _, headers, found = await api("GET", f"{PATH}&limit=20&offset=20")
    assert len(found) == 20
    assert 'rel="next"' not in headers["link"]


async def test_a_page_of_many_megabytes_is_compressed(api: Api) -> None:
    address = f"{api.address}/ngsi-ld/v1/{PATH}&limit={COUNT}&format=simplified"
    async with aiohttp.ClientSession(auto_decompress=False) as session, session.get(address) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        found = json.loads(gzip.decompress(await response.read()))
    assert [item["text"] for item in found] == [_TEXT] * COUNT


async def test_head_of_a_page_of_many_megabytes(api: Api, client: Client) -> None:
    status, headers, body = await api("HEAD", f"{PATH}&limit={COUNT}", Accept_Encoding="identity")
    assert (status, body) == (200, b"")
    assert "content-length" not in headers
    await until(lambda: _is_idle(client))


@pytest.mark.parametrize("join", ["flat", "inline"])
@pytest.mark.parametrize("path", [f"{PATH}&limit={COUNT}", "entities/urn:ngsi-ld:Hub:1"])
async def test_a_join_of_too_many_megabytes_is_refused(api: Api, join: str, path: str) -> None:
    spokes = [f"urn:ngsi-ld:Broad:{number:02}" for number in range(COUNT)]
    hub = {"id": "urn:ngsi-ld:Hub:1", "type": "Hub", "spokes": {"type": "Relationship", "object": spokes}}
    await api("POST", "entities", hub)
    status, _, problem = await api("GET", f"{path}{'&' if '?' in path else '?'}join={join}")
    assert (status, problem["type"].rpartition("/")[2]) == (403, "TooManyResults")
    few = f"{PATH}&limit=3" if "Broad" in path else f"{path}?pick=id"
    status, _, found = await api("GET", f"{few}{'&' if '?' in few else '?'}join={join}")
    assert status == 200
    assert found


async def test_a_page_that_is_held_for_its_status_is_bounded(api: Api) -> None:
    status, _, problem = await api("GET", f"{PATH}&limit={COUNT}", Prefer="ngsi-ld=1.5")
    assert (status, problem["type"].rpartition("/")[2]) == (403, "TooManyResults")
    status, _, found = await api("GET", f"{PATH}&limit=20", Prefer="ngsi-ld=1.5")
    assert (status, len(found)) == (200, 20)


async def test_who_knows_no_chunks_gets_a_length(api: Api) -> None:
    reader, writer = await _asked(api, "HTTP/1.0")
    headers, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in headers
    assert f"content-length: {len(body)}".encode() in headers
    assert len(json.loads(body)) == COUNT
    writer.close()


async def test_what_a_slow_client_has_not_taken_is_still_in_the_database(api: Api, client: Client) -> None:
    reader, writer = await _asked(api, "HTTP/1.1")
    (cursor,) = await until(lambda: open_cursors(client))
    assert cursor["cursor"]["nDocsReturned"] < COUNT
    answered = len(await reader.readuntil(b"\r\n\r\n"))
    while piece := await reader.read(1_000_000):
        answered += len(piece)
        if piece.endswith(b"0\r\n\r\n"):
            break
    assert answered > COUNT * len(_TEXT)
    assert not await open_cursors(client)
    writer.close()


async def test_a_client_that_goes_away_ends_the_query(api: Api, client: Client) -> None:
    _, writer = await _asked(api, "HTTP/1.1")
    assert await until(lambda: open_cursors(client))
    writer.transport.abort()
    await until(lambda: _is_idle(client))


async def test_an_answer_that_breaks_off_can_be_told_from_a_whole_one(api: Api, client: Client) -> None:
    reader, writer = await _asked(api, "HTTP/1.1")
    (cursor,) = await until(lambda: open_cursors(client))
    await client.longanswers.command("killCursors", "entities", cursors=[cursor["cursor"]["cursorId"]])
    answered = await reader.read()
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert not answered.endswith(b"0\r\n\r\n")
    writer.close()
    assert (await api("GET", f"{PATH}&limit=1"))[0] == 200


async def _is_idle(client: Client) -> bool:
    return not await open_cursors(client)


async def _asked(api: Api, version: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which the page was asked for, and nothing read."""
    host, port = api.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=65_536)
    asked = f"GET /ngsi-ld/v1/{PATH}&limit={COUNT} {version}\r\nHost: x\r\n\r\n"
    writer.write(asked.encode())
    return reader, writer
