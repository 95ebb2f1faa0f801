"""Fetching @contexts from real servers, good and bad ones, and never from where they must not be fetched."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Any

import pytest

from broker.address_rule import address_rule, is_public
from broker.context_fetch import ContextFetcher, Reach
from broker.web_address import GuardedResolver
from ngsi.errors import BadRequestData, LdContextNotAvailable
from tests.broker.context_server import TERMS, ContextServer, running_context_server

TIMEOUT_S = 0.5
SIZE_BYTES = 10_000


@pytest.fixture
async def web(free_port: Callable[[], int]) -> AsyncIterator[ContextServer]:
    async with running_context_server(free_port()) as server:
        yield server


async def fetch(url: str, reach: Reach = "any") -> tuple[Any, float]:
    fetcher = ContextFetcher(reach, TIMEOUT_S, SIZE_BYTES)
    try:
        fetched = await fetcher.fetch(url)
    finally:
        await fetcher.close()
    return fetched.source, fetched.lifetime_s


async def test_a_document_whatever_its_media_type(web: ContextServer) -> None:
    for media_type in ("application/ld+json", "application/json; charset=utf-8", "text/plain", "application/x-thing"):
        assert await fetch(web.put("c", headers={"Content-Type": media_type})) == (TERMS, 24 * 3600)


async def test_what_a_document_refers_to_is_relative_to_where_it_was_found(web: ContextServer) -> None:
    web.put("there/c", {"@context": ["d", {"a": "https://a/"}]})
    url = web.put("here", b"", status=302, headers={"Location": "/there/c"})
    assert (await fetch(url))[0] == [f"http://127.0.0.1:{web.port}/there/d", {"a": "https://a/"}]


async def test_the_json_beside_a_page(web: ContextServer) -> None:
    web.put("c.jsonld")
    headers = {"Content-Type": "text/html", "Link": '</c.jsonld>; rel="alternate"; type="application/ld+json"'}
    assert (await fetch(web.put("", b"<html>", headers=headers)))[0] == TERMS


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({"status": 404}, "404"),
        ({"status": 500}, "500"),
        ({"delay_s": 5.0}, "no answer within"),
        ({"body": {"@context": {"a": "x" * SIZE_BYTES}}}, "larger than"),
        ({"status": 302, "headers": {"Location": "/loop"}}, "redirects"),
        ({"status": 200, "headers": {"Content-Encoding": "gzip"}}, "compressed"),
    ],
)
@pytest.mark.clause("5.5.6")
async def test_what_cannot_be_had(web: ContextServer, page: dict[str, Any], words: str) -> None:
    url = web.put("loop", **page)
    started_s = time.monotonic()
    with pytest.raises(LdContextNotAvailable, match=words):
        await fetch(url)
    assert time.monotonic() - started_s < TIMEOUT_S * 10


async def test_a_server_that_is_dead(free_port: Callable[[], int]) -> None:
    with pytest.raises(LdContextNotAvailable, match="cannot be fetched"):
        await fetch(f"http://127.0.0.1:{free_port()}/c")


async def test_a_server_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(LdContextNotAvailable, match="no answer"):
        await fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/c")


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"<html></html>", [], {"note": 1}, {"@context": 5}, {"@context": None}, {"@context": [7]}],
)
@pytest.mark.clause("5.5.6")
async def test_what_is_no_context(web: ContextServer, body: Any) -> None:
    with pytest.raises(BadRequestData):
        await fetch(web.put("c", body))


@pytest.mark.parametrize(
    ("headers", "lifetime_s"),
    [
        ({"Cache-Control": "max-age=600"}, 600),
        ({"Cache-Control": "public, s-maxage=700, max-age=600"}, 700),
        ({"Cache-Control": 'max-age="900"', "Age": "100"}, 800),
        ({"Cache-Control": "max-age=0"}, 60),
        ({"Cache-Control": "no-cache"}, 60),
        ({"Cache-Control": "max-age=9999999999"}, 30 * 24 * 3600),
        ({"Expires": "0"}, 60),
        ({"Cache-Control": "max-age=600", "Expires": "0"}, 600),
        ({}, 24 * 3600),
    ],
)
async def test_for_how_long_a_document_is_fresh(web: ContextServer, headers: dict[str, str], lifetime_s: float) -> None:
    assert (await fetch(web.put("c", headers=headers)))[1] == lifetime_s


async def test_expires_is_honoured(web: ContextServer) -> None:
    url = web.put("c", headers={"Expires": formatdate(time.time() + 7200, usegmt=True)})
    assert (await fetch(url))[1] == pytest.approx(7200, abs=5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_refused(web: ContextServer, host: str) -> None:
    with pytest.raises(LdContextNotAvailable, match="cannot be fetched"):
        await fetch(f"http://{host}:{web.port}/c", "public")
    assert not web.asked


async def test_a_redirect_does_not_lead_to_a_private_address(
    web: ContextServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first server counts as public here; what it redirects to does not."""
    monkeypatch.setattr("broker.address_rule._is_public", lambda address: str(address) == "127.0.0.1")
    web.put("c")
    for onward in (f"http://[::1]:{web.port}/c", "http://169.254.169.254/c", "file:///etc/passwd", "http://10.0.0.1/"):
        url = web.put("r", b"", status=302, headers={"Location": onward}).replace("127.0.0.1", "localhost")
        with pytest.raises((LdContextNotAvailable, BadRequestData)):
            await fetch(url, "public")
    assert web.asked["r"] == 4
    assert web.asked["c"] == 0


async def test_a_name_is_resolved_once_and_the_checked_address_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers first with a public and then with a private address (rebinding) is asked once only."""
    answers = iter([["93.184.216.34", "127.0.0.1"], ["127.0.0.1"]])

    def lookup(host: str, port: int, *_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(answers)]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    resolver = GuardedResolver(address_rule("public"))
    assert [item["host"] for item in await resolver.resolve("rebinding.example", 80)] == ["93.184.216.34"]
    with pytest.raises(OSError, match="no permitted address"):
        await resolver.resolve("rebinding.example", 80)
    await resolver.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1]:99999/",
        "http://h:port/",
        "http://é.invalid/ü",
        "http://" + "a" * 300 + "/",
        "http://-/",
        "http://../",
        "http://%zz/",
        "http://user:word@127.0.0.1:1/",
        "http://h\\@127.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://a.\u202eexample/",
        "http://h/" + "x" * 10_000,
    ],
)
async def test_a_strange_address_fails_like_any_other(url: str) -> None:
    with pytest.raises((LdContextNotAvailable, BadRequestData)):
        await fetch(url, "public")


async def test_a_site_without_the_web() -> None:
    with pytest.raises(LdContextNotAvailable, match="MEDINA_CONTEXTS"):
        await fetch("https://city.example/c", "none")


async def test_a_slow_server_keeps_nobody_else_waiting(web: ContextServer) -> None:
    fetcher = ContextFetcher("any", 5.0, SIZE_BYTES)
    slow = asyncio.create_task(fetcher.fetch(web.put("slow", delay_s=30)))
    assert (await fetcher.fetch(web.put("quick"))).source == TERMS
    assert not slow.done()
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    await fetcher.close()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, expected: bool) -> None:
    assert is_public(address) is expected
