"""HTTP as such: bodies that come slowly, in pieces or compressed; long answers; HEAD, OPTIONS and CORS."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from broker.settings import Settings
from tests.broker.api.conftest import Api, serving
from tests.builders import room, unique_id

JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
async def strict(mongo: str) -> AsyncIterator[Api]:
    """An API with small limits and CORS for one page."""
    settings = Settings(
        mongodb_uri=mongo,
        database="transport",
        body_bytes=100_000,
        transfer_timeout_s=0.3,
        cors_origins="https://city.example, https://map.example",
    )
    async with serving(settings) as api:
        yield api


async def raw(api: Api, *sent: bytes, pause_s: float = 0.0) -> bytes:
    """What the server answers on a connection to which this is written, until it closes it or goes silent."""
    host, port = api.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in sent:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)
    answered = b""
    try:
        async with asyncio.timeout(1.5):
            while piece := await reader.read(65_536):
                answered += piece
    except TimeoutError:
        pass
    writer.close()
    return answered


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} /ngsi-ld/v1/{path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@pytest.mark.clause("6.3.4")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_chunked_body_is_refused_with_a_bare_411(strict: Api, method: str) -> None:
    path = "entities" if method == "POST" else "entities/urn:x:1"
    asked = head(method, path, JSON, "Transfer-Encoding: chunked", "NGSILD-Tenant: never-seen")
    answered = await raw(strict, asked + b"2\r\n{}\r\n0\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 411 ")
    assert answered.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("length", ["-1", "1e3", "abc", "", "99999999999999999999"])
async def test_a_wrong_content_length_is_a_client_error(strict: Api, length: str) -> None:
    answered = await raw(strict, head("POST", "entities", JSON, f"Content-Length: {length}") + b"{}")
    assert answered[:10] == b"HTTP/1.1 4"


async def test_a_body_that_does_not_come_is_given_up(strict: Api) -> None:
    answered = await raw(strict, head("POST", "entities", JSON, "Content-Length: 50"), b'{"id"')
    assert answered.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answered


async def test_a_client_that_goes_away_within_its_body_harms_nobody(strict: Api) -> None:
    host, port = strict.address.removeprefix("http://").split(":")
    for _ in range(20):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head("POST", "entities", JSON, "Content-Length: 500") + b'{"id": ')
        await writer.drain()
        writer.transport.abort()
    assert (await strict("POST", "entities", room()))[0] == 201


@pytest.mark.parametrize("size", [10, 60_000])
async def test_a_gzip_body_is_inflated(strict: Api, size: int) -> None:
    body = {**room(), "text": "x" * size}
    packed = gzip.compress(json.dumps(body).encode())
    sent = await strict("POST", "entities", packed, Content_Type="application/json", Content_Encoding="gzip")
    assert sent[0] == 201
    assert (await strict("GET", f"entities/{body['id']}?format=simplified"))[2]["text"] == "x" * size


@pytest.mark.parametrize(
    ("packed", "coding", "status"),
    [
        (gzip.compress(b" " * 1_000_000_0, mtime=0), "gzip", 413),
        (b"{}", "gzip", 400),
        (gzip.compress(b"{}", mtime=0)[:-4], "gzip", 400),
        (gzip.compress(b"{}", mtime=0) + b"{}", "gzip", 400),
        (b"{}", "br", 415),
        (b"{}", "gzip, gzip", 415),
    ],
)
async def test_a_compressed_body_that_is_none(strict: Api, packed: bytes, coding: str, status: int) -> None:
    sent = await strict("POST", "entities", packed, Content_Type="application/json", Content_Encoding=coding)
    assert sent[0] == status
    assert (sent[1].get("accept-encoding") == "gzip, identity") == (status == 415)


async def test_what_bodies_inflate_to_counts_as_memory(mongo: str) -> None:
    settings = Settings(mongodb_uri=mongo, database="inflated", bodies_bytes=50_000)
    async with serving(settings) as api:
        body = {**room(), "text": "x" * 60_000}
        packed = gzip.compress(json.dumps(body).encode())
        status, headers, _ = await api(
            "POST", "entities", packed, Content_Type="application/json", Content_Encoding="gzip"
        )
        assert (status, headers["retry-after"]) == (503, "1")
        assert (await api("POST", "entities", room()))[0] == 201


@pytest.mark.clause("5.5.2")
async def test_a_query_that_takes_too_long_is_too_complex(mongo: str) -> None:
    settings = Settings(mongodb_uri=mongo, database="toolong", query_timeout_s=0.001)
    async with serving(settings) as api:
        made = [room(type="Long", text="abc" * 200) for _ in range(1000)]
        for _ in range(3):
            assert (await api("POST", "entityOperations/upsert", made))[0] in (201, 204)
        slow = quote('text~="a.*b.*c.*d.*e";text~="b.*c.*d.*x"', safe="")
        status, _, problem = await api("GET", f"entities?type=Long&limit=1000&q={slow}")
        assert (status, problem["type"].rpartition("/")[2]) == (403, "TooComplexQuery")
        assert "type" in problem["detail"]
        assert (await api("GET", f"entities/{made[0]['id']}"))[0] == 200


@pytest.fixture(scope="module")
async def many(strict: Api) -> list[dict[str, Any]]:
    """1,000 entities of one type, ordered by id."""
    made = [room(f"urn:ngsi-ld:Long:{number:04}", type="Long", text="x" * 200) for number in range(1000)]
    for start in range(0, 1000, 250):
        assert (await strict("POST", "entityOperations/create", made[start : start + 250]))[0] == 201
    return made


async def test_a_long_answer_is_compressed_for_those_who_take_it(strict: Api, many: list[dict[str, Any]]) -> None:
    address = f"{strict.address}/ngsi-ld/v1/entities?type=Long&limit=1000"
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        async with session.get(address, headers={"Accept-Encoding": "gzip"}) as response:
            packed = await response.read()
            assert response.headers["Content-Encoding"] == "gzip"
            assert "accept-encoding" in response.headers.getall("Vary")
            assert response.content_length == len(packed)
        async with session.get(address, headers={"Accept-Encoding": "gzip;q=0, identity"}) as response:
            plain = await response.read()
            assert "Content-Encoding" not in response.headers
            assert "accept-encoding" in response.headers.getall("Vary")
        async with session.get(f"{address}&limit=1".replace("limit=1000&", "")) as response:
            assert "Content-Encoding" not in response.headers
    assert gzip.decompress(packed) == plain
    assert [item["id"] for item in json.loads(plain)] == [item["id"] for item in many]
    assert len(packed) * 5 < len(plain)


@pytest.mark.parametrize("path", ["entities?type=Long&limit=1000", "types", "entities/urn:ngsi-ld:Long:0001"])
async def test_head_is_get_without_the_body(strict: Api, many: list[dict[str, Any]], path: str) -> None:
    identity = {"Accept_Encoding": "identity"}
    got = await strict("GET", path, **identity)
    asked = await strict("HEAD", path, **identity)
    assert asked[2] == b""
    assert (asked[0], _lasting(asked[1])) == (got[0], _lasting(got[1]))


async def test_head_has_no_body_on_the_wire(strict: Api, many: list[dict[str, Any]]) -> None:
    answered = await raw(strict, head("HEAD", "entities?type=Long", "Accept-Encoding: gzip", "Connection: close"))
    assert answered.startswith(b"HTTP/1.1 200 ")
    assert answered.endswith(b"\r\n\r\n")


def _lasting(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "date"}


async def test_a_client_that_does_not_read_is_left(strict: Api, many: list[dict[str, Any]]) -> None:
    host, port = strict.address.removeprefix("http://").split(":")
    asked = head("GET", "entities?type=Long&limit=1000")
    idle = [await asyncio.open_connection(host, int(port), limit=1024) for _ in range(10)]
    for reader, writer in idle:
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # a client that takes nothing
        writer.write(asked * 20)
    assert (await strict("GET", "entities/urn:ngsi-ld:Long:0001"))[0] == 200
    for _, writer in idle:
        writer.transport.abort()


async def test_options_tells_the_methods(strict: Api) -> None:
    status, headers, body = await strict("OPTIONS", "entities")
    assert (status, body) == (204, b"")
    assert headers["allow"] == "HEAD, GET, POST, DELETE, OPTIONS"
    assert "access-control-allow-methods" not in headers
    assert (await strict("OPTIONS", "nowhere"))[0] == 404


async def test_pages_of_the_operators_choice_may_call(strict: Api) -> None:
    page = {"Origin": "https://map.example"}
    _, headers, _ = await strict(
        "OPTIONS", "entities", **page, Access_Control_Request_Method="POST", Access_Control_Request_Headers="link"
    )
    assert headers["access-control-allow-origin"] == "https://map.example"
    assert "POST" in headers["access-control-allow-methods"]
    assert "ngsild-tenant" in headers["access-control-allow-headers"]
    for path in ("entities?type=Room", "entities/urn:x:never"):
        _, headers, _ = await strict("GET", path, **page)
        assert headers["access-control-allow-origin"] == "https://map.example"
        assert "ngsild-results-count" in headers["access-control-expose-headers"]
    _, headers, _ = await strict("GET", "entities?type=Room", Origin="https://elsewhere.example")
    assert "access-control-allow-origin" not in headers
    assert "origin" in headers["vary"]


async def test_a_merge_patch_is_the_body_of_patch_only(api: Api) -> None:
    entity_id, merge_patch = unique_id(), "application/merge-patch+json"
    body = {"id": entity_id, "type": "A"}
    status, headers, content = await api("POST", "entities", body, Content_Type=merge_patch)
    assert (status, content, headers["accept"]) == (415, b"", "application/json, application/ld+json")
    assert (await api("POST", "entities", body))[0] == 201
    assert (await api("PUT", f"entities/{entity_id}", body, Content_Type=merge_patch))[0] == 415
    assert (await api("PATCH", f"entities/{entity_id}", {"a": 1}, Content_Type=merge_patch))[0] == 204


async def test_an_accept_header_that_names_nothing_accepts_anything(api: Api) -> None:
    status, headers, _ = await api("GET", "types", Accept="")
    assert (status, headers["content-type"]) == (200, "application/json")


async def test_no_page_may_call_by_default(api: Api) -> None:
    _, headers, _ = await api("GET", "entities?type=Never", Origin="https://map.example")
    assert not [name for name in headers if name.startswith("access-control") or name == "vary"]


async def test_two_link_headers_count_as_one_list(api: Api) -> None:
    other = 'Link: <https://x.example>; rel="license"'
    link = 'Link: <https://medina.example/campus/context.jsonld>; rel="http://www.w3.org/ns/json-ld#context"'
    body = json.dumps(room(type="Zone", capacity=5)).encode()
    length = f"Content-Length: {len(body)}"
    assert (await raw(api, head("POST", "entities", JSON, length, link, other) + body)).startswith(b"HTTP/1.1 201 ")
    assert (await raw(api, head("POST", "entities", JSON, length, link, link) + body)).startswith(b"HTTP/1.1 400 ")
