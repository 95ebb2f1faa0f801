"""@contexts over HTTP: those of requests, and the store of them (clauses 5.5.5 to 5.5.7, 5.13, 6.29 and 6.30)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from broker.settings import Settings
from ngsi.vocabulary import CONTEXT_REL, CORE_CONTEXT_URL
from tests.broker.api.conftest import CAMPUS, Api, serving
from tests.broker.context_server import TERMS, ContextServer, running_context_server
from tests.builders import room
from tests.waiting import until

LD = "application/ld+json"
ERROR = "https://uri.etsi.org/ngsi-ld/errors/"


def link(url: str) -> str:
    return f'<{url}>; rel="{CONTEXT_REL}"; type="{LD}"'


def at(url: str, **parameters: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"jsonldContexts/{quote(url, safe='')}" + (f"?{query}" if query else "")


@pytest.fixture(scope="module")
async def local(mongo: str) -> AsyncIterator[Api]:
    """A context API that fetches from any address."""
    async with serving(settings(mongo)) as api:
        yield api


def settings(mongo: str, **members: Any) -> Settings:
    known: dict[str, Any] = {"contexts": "pilots/campus/contexts", "fetch_contexts": "any", "context_timeout_s": 0.5}
    return Settings(mongodb_uri=mongo, database="contexttest", **(known | members))


@pytest.fixture
async def web(free_port: Callable[[], int]) -> AsyncIterator[ContextServer]:
    async with running_context_server(free_port()) as server:
        yield server


async def hosted(api: Api, source: Any, **headers: str) -> str:
    status, answered, content = await api("POST", "jsonldContexts", {"@context": source}, **headers)
    assert (status, content) == (201, b"")
    return answered["location"].rpartition("/")[2]


async def expanded(api: Api, **headers: str) -> Any:
    """How an attribute `temperature`, written with these headers, is called without any @context."""
    body = room()
    status, _, problem = await api("POST", "entities", body, **headers)
    if status != 201:
        return status, problem
    found = (await api("GET", f"entities/{body['id']}", NGSILD_Tenant=headers.get("NGSILD_Tenant", "")))[2]
    return next(name for name in found if name.endswith("temperature"))


FULL = TERMS["temperature"]


@pytest.mark.clause("5.5.6")
async def test_a_context_is_fetched_once_and_kept(local: Api, web: ContextServer) -> None:
    url = web.put("c")
    names = await asyncio.gather(*(expanded(local, Link=link(url)) for _ in range(10)))
    assert names == [FULL] * 10
    assert web.asked["c"] == 1
    await web.stop()
    assert await expanded(local, Link=link(url)) == FULL


@pytest.mark.clause("5.13")
async def test_a_fetched_context_survives_a_restart(local: Api, web: ContextServer, mongo: str) -> None:
    url = web.put("c")
    assert await expanded(local, Link=link(url)) == FULL
    await web.stop()
    async with serving(settings(mongo)) as other:
        assert await expanded(other, Link=link(url)) == FULL


NESTED: list[tuple[str, Any]] = [
    ("an array of URLs", ["{a}", "{c}"]),
    ("arrays in arrays", [[["{c}"]]]),
    ("a document that names another", ["{b}"]),
    ("an object after a URL", ["{a}", TERMS]),
    ("an import", {"@import": "{c}"}),
    ("the core as well", [CORE_CONTEXT_URL, "{c}"]),
]


@pytest.mark.parametrize(("what", "source"), NESTED)
@pytest.mark.clause("5.5.7")
async def test_nested_contexts(local: Api, web: ContextServer, what: str, source: Any) -> None:
    urls = {"c": web.put("c"), "a": web.put("a", {"@context": {"other": "https://a/"}})}
    urls["b"] = web.put("b", {"@context": ["a", ["c"]]})

    def filled(part: Any) -> Any:
        if isinstance(part, str):
            return part.format(**urls)
        if isinstance(part, list):
            return [filled(item) for item in part]
        return {term: filled(value) for term, value in part.items()}

    body = room() | {"@context": filled(source)}
    assert (await local("POST", "entities", body, Content_Type=LD))[0] == 201
    assert FULL in (await local("GET", f"entities/{body['id']}"))[2], what


WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("not there", {"status": 404}, 504, "LdContextNotAvailable"),
    ("dead slow", {"delay_s": 30.0}, 504, "LdContextNotAvailable"),
    ("not JSON", {"body": b"this is { not json"}, 400, "BadRequestData"),
    ("no context", {"body": {"note": "nothing"}}, 400, "BadRequestData"),
    ("cyclic", {"body": {"@context": "c"}}, 400, "BadRequestData"),
    ("scoped", {"body": {"@context": {"a": {"@id": "https://a/", "@context": {}}}}}, 400, "BadRequestData"),
]


@pytest.mark.parametrize(("what", "page", "status", "name"), WRONG)
@pytest.mark.clause("5.5.6")
async def test_a_context_that_is_no_good(
    local: Api, web: ContextServer, what: str, page: dict[str, Any], status: int, name: str
) -> None:
    url = web.put("c", **page)
    answered, problem = await expanded(local, Link=link(url))
    assert (answered, problem["type"]) == (status, ERROR + name), what
    assert (await local("GET", "entities?type=Room", Link=link(url)))[0] == status
    batch = [room() | {"@context": url}, room() | {"@context": TERMS}]
    answered, _, result = await local("POST", "entityOperations/create", batch, Content_Type=LD)
    assert (answered, result["success"]) == (207, [batch[1]["id"]])
    assert [item["error"]["type"] for item in result["errors"]] == [ERROR + name]


async def test_a_failure_is_remembered_for_a_short_while(local: Api, web: ContextServer) -> None:
    url = web.put("c", delay_s=30.0)
    for _ in range(3):
        assert (await expanded(local, Link=link(url)))[0] == 504
    assert web.asked["c"] == 1


@pytest.mark.clause("5.5.6")
async def test_waiting_for_a_context_blocks_nobody_else(mongo: str, web: ContextServer) -> None:
    async with serving(settings(mongo, context_timeout_s=2.0)) as api:
        slow = [link(web.put(f"slow{n}", delay_s=30.0)) for n in range(20)]
        waiting = [asyncio.create_task(expanded(api, Link=one)) for one in slow]
        await until(lambda: web.asked["slow0"])
        assert (await api("GET", "entities?type=Room"))[0] == 200
        assert await expanded(api, Link=link(web.put("c"))) == FULL
        assert not any(task.done() for task in waiting)
        assert {status for status, _ in await asyncio.gather(*waiting)} == {504}


async def test_contexts_of_a_batch_are_brought_side_by_side(local: Api, web: ContextServer) -> None:
    batch = [room() | {"@context": web.put(f"c{number}", delay_s=0.2)} for number in range(30)]
    started_s = time.monotonic()
    assert (await local("POST", "entityOperations/create", batch, Content_Type=LD))[0] == 201
    assert time.monotonic() - started_s < sum(web.pages[f"c{number}"].delay_s for number in range(30))


async def test_a_context_made_to_grow_without_bound(local: Api, web: ContextServer) -> None:
    """Ten documents, each naming the next one a hundred times: 10^20 parts."""
    for number in range(10):
        web.put(f"d{number}", {"@context": [f"d{number + 1}"] * 100})
    web.put("d10")
    started_s = time.process_time()
    assert (await expanded(local, Link=link(f"http://127.0.0.1:{web.port}/d0")))[0] == 400
    assert time.process_time() - started_s < 2


async def test_a_large_context_named_many_times(local: Api, web: ContextServer) -> None:
    large = {f"term{number}": f"https://city.example/{number}" for number in range(15_000)}
    url = web.put("large", {"@context": large | TERMS})
    assert await expanded(local, Link=link(url)) == FULL
    started_s = time.process_time()
    for source in ([url] * 900, [large] * 4):
        body = orjson.dumps(room() | {"@context": source})
        assert (await local("POST", "entities", body, Content_Type=LD))[0] == 400
    assert time.process_time() - started_s < 1


async def test_private_addresses_are_refused_by_default(api: Api, web: ContextServer) -> None:
    status, problem = await expanded(api, Link=link(web.put("c")))
    assert (status, problem["type"]) == (504, f"{ERROR}LdContextNotAvailable")
    assert "MEDINA_FETCH_CONTEXTS" in problem["detail"]
    assert not web.asked


@pytest.mark.parametrize("url", ["c.jsonld", "file:///etc/passwd", "unknown"])
async def test_what_is_no_address_of_the_web(api: Api, url: str) -> None:
    assert (await expanded(api, Link=link(url)))[0] == 400


@pytest.mark.clause("5.13.2")
async def test_a_hosted_context(local: Api) -> None:
    context_id = await hosted(local, TERMS)
    url = f"{local.address}/ngsi-ld/v1/jsonldContexts/{context_id}"
    for reference in (url, f"https://city.example/ngsi-ld/v1/jsonldContexts/{quote(context_id)}"):
        assert await expanded(local, Link=link(reference)) == FULL
    body = room() | {"@context": [f"/ngsi-ld/v1/jsonldContexts/{context_id}"]}
    assert (await local("POST", "entities", body, Content_Type=LD))[0] == 201
    status, headers, served = await local("GET", at(context_id))
    assert (status, headers["content-type"], served) == (200, "application/json", {"@context": TERMS})
    assert "link" not in headers
    assert (await local("GET", at(context_id), Accept=LD))[1]["content-type"] == LD
    described = (await local("GET", at(context_id, details="true")))[2]
    assert described.keys() == {"URL", "localId", "kind", "createdAt", "lastUsage", "numberOfHits"}
    assert (described["URL"], described["localId"], described["kind"]) == (url, context_id, "Hosted")
    assert described["numberOfHits"] == 3
    assert url in (await local("GET", "jsonldContexts?kind=Hosted"))[2]
    assert (await local("DELETE", at(context_id, reload="true")))[0] == 400
    assert (await local("DELETE", at(context_id)))[0] == 204
    assert (await local("GET", at(context_id)))[0] == 404
    assert (await local("DELETE", at(context_id)))[0] == 404
    assert (await expanded(local, Link=link(f"/ngsi-ld/v1/jsonldContexts/{context_id}")))[0] == 504


@pytest.mark.clause("5.13.4")
async def test_a_cached_context(local: Api, web: ContextServer) -> None:
    url = web.put("c", headers={"Cache-Control": "max-age=3600"})
    assert (await local("GET", at(url, details="true")))[0] == 404
    await expanded(local, Link=link(url))

    async def hits() -> Any:
        return (await local("GET", at(url, details="true")))[2]["numberOfHits"]

    assert await hits() == 1
    await expanded(local, Link=link(url))
    assert await hits() == 3
    status, _, problem = await local("GET", at(url))
    assert (status, problem["type"]) == (422, f"{ERROR}OperationNotSupported")
    described = (await local("GET", at(url, details="true")))[2]
    assert (described["URL"], described["kind"]) == (url, "Cached")
    assert described["expiresAt"] > described["createdAt"]
    assert (await local("GET", at(described["localId"], details="true")))[2]["URL"] == url
    assert url in (await local("GET", "jsonldContexts"))[2]
    assert (await local("DELETE", at(url)))[0] == 204
    assert url not in (await local("GET", "jsonldContexts"))[2]
    await expanded(local, Link=link(url))
    assert web.asked["c"] == 2


@pytest.mark.clause("5.13.5")
async def test_a_cached_context_is_reloaded(local: Api, web: ContextServer) -> None:
    url = web.put("c")
    assert await expanded(local, Link=link(url)) == FULL
    web.put("c", {"@context": {"temperature": "https://new.example/temperature"}})
    assert (await local("DELETE", at(url, reload="true")))[0] == 204
    assert await expanded(local, Link=link(url)) == "https://new.example/temperature"
    for page in ({"status": 500}, {"body": b"no json"}):
        web.put("c", **page)
        status, _, problem = await local("DELETE", at(url, reload="true"))
        assert (status, problem["type"]) == (504, f"{ERROR}LdContextNotAvailable")
    assert await expanded(local, Link=link(url)) == "https://new.example/temperature"


async def test_an_expired_context_is_served_and_refreshed_meanwhile(
    local: Api, web: ContextServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.context_fetch._LIFETIME_MIN_S", 0.0)
    url = web.put("c", headers={"Cache-Control": "max-age=0"})
    assert await expanded(local, Link=link(url)) == FULL
    monkeypatch.undo()
    web.put("c", {"@context": {"temperature": "https://new.example/temperature"}}, delay_s=0.4)
    assert await expanded(local, Link=link(url)) == FULL, "the one that is at hand; the new one would be another"

    async def is_new() -> bool:
        return bool(await expanded(local, Link=link(url)) == "https://new.example/temperature")

    await until(is_new)
    assert web.asked["c"] == 2


async def _never_grows(_: Any) -> int:
    return 0


@pytest.mark.parametrize("unused", ["version", "check"])
async def test_other_processes_notice_what_was_deleted_and_reloaded(
    local: Api, web: ContextServer, mongo: str, monkeypatch: pytest.MonkeyPatch, unused: str
) -> None:
    if unused == "version":
        monkeypatch.setattr("broker.storage.mongo_contexts.MongoContextStore.version", _never_grows)
    else:
        monkeypatch.setattr("broker.context_supply._CHECK_EVERY_S", 1000.0)
    url, hosted_id = web.put("c"), await hosted(local, TERMS)
    own = f"/ngsi-ld/v1/jsonldContexts/{hosted_id}"
    async with serving(settings(mongo)) as other:
        assert await expanded(other, Link=link(url)) == await expanded(other, Link=link(own)) == FULL
        web.put("c", {"@context": {"temperature": "https://new.example/temperature"}})
        assert (await local("DELETE", at(url, reload="true")))[0] == 204
        assert (await local("DELETE", at(hosted_id)))[0] == 204

        async def has_noticed() -> bool:
            names = [await expanded(other, Link=link(reference)) for reference in (url, own)]
            return FULL not in names

        await until(has_noticed, within_s=10, every_s=0.2)


async def test_a_preloaded_context_counts_as_cached(local: Api) -> None:
    assert await expanded(local, Link=link(CAMPUS)) != "temperature"
    described = (await local("GET", at(CAMPUS, details="true")))[2]
    assert (described["URL"], described["kind"]) == (CAMPUS, "Cached")
    assert (await local("DELETE", at(CAMPUS, reload="true")))[0] == 204
    assert (await local("DELETE", at(CAMPUS)))[0] == 204
    assert (await local("GET", at(CAMPUS, details="true")))[0] == 404
    assert await expanded(local, Link=link(CAMPUS)) != "temperature"
    assert (await local("GET", at(CAMPUS, details="true")))[0] == 200


@pytest.mark.clause("5.5.10")
async def test_hosted_contexts_belong_to_a_tenant(local: Api) -> None:
    context_id = await hosted(local, TERMS, NGSILD_Tenant="settat")
    url = f"{local.address}/ngsi-ld/v1/jsonldContexts/{context_id}"
    for details in ("true", "false"):
        assert (await local("GET", at(context_id, details=details), NGSILD_Tenant="berrechid"))[0] == 404
        assert (await local("GET", at(context_id, details=details)))[0] == 404
        assert (await local("GET", at(context_id, details=details), NGSILD_Tenant="settat"))[0] == 200
    assert url not in (await local("GET", "jsonldContexts", NGSILD_Tenant="berrechid"))[2]
    assert url in (await local("GET", "jsonldContexts", NGSILD_Tenant="settat"))[2]
    assert (await local("DELETE", at(context_id), NGSILD_Tenant="berrechid"))[0] == 404
    assert await expanded(local, Link=link(url), NGSILD_Tenant="settat") == FULL
    assert (await expanded(local, Link=link(url)))[0] == 504
    assert (await local("DELETE", at(context_id), NGSILD_Tenant="settat"))[0] == 204


async def test_a_deleted_tenant_leaves_no_contexts(mongo: str) -> None:
    async with serving(settings(mongo, operator_key="sesame")) as api:
        assert (await api("POST", "entities", room(), NGSILD_Tenant="going"))[0] == 201
        context_id = await hosted(api, TERMS, NGSILD_Tenant="going")
        operator = {"Authorization": "Bearer sesame"}
        assert (await api("DELETE", "/ngsi-ld/ex/v1/tenants/going", **operator))[0] == 204
        assert (await api("GET", at(context_id), NGSILD_Tenant="going"))[0] == 404


@pytest.mark.clause("5.13.2")
@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"{", "InvalidRequest"),
        (b"", "InvalidRequest"),
        (b"[]", "InvalidRequest"),
        (b'{"temperature": "https://a/"}', "InvalidRequest"),
        (b'{"@context": 5}', "BadRequestData"),
        (b'{"@context": true}', "BadRequestData"),
        (b'{"@context": null}', "BadRequestData"),
        (b'{"@context": ["https://a/", 7]}', "BadRequestData"),
        (b'{"@context": {"a": {"@id": "https://a/", "@context": {}}}}', "BadRequestData"),
        (b'{"@context": {"a": "b", "b": "a"}}', "BadRequestData"),
    ],
)
async def test_what_cannot_be_added(local: Api, body: bytes, name: str) -> None:
    status, headers, problem = await local("POST", "jsonldContexts", body, Content_Type="application/json")
    assert (status, problem["type"]) == (400, ERROR + name)
    assert "location" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "jsonldContexts?kind=other", 400, "BadRequestData"),
        ("GET", "jsonldContexts?kind=", 400, "BadRequestData"),
        ("GET", "jsonldContexts?details=maybe", 400, "BadRequestData"),
        ("GET", "jsonldContexts?nonsense=1", 400, "InvalidRequest"),
        ("GET", "jsonldContexts/unknown", 404, "ResourceNotFound"),
        ("GET", "jsonldContexts/unknown?details=maybe", 400, "BadRequestData"),
        ("DELETE", "jsonldContexts/unknown", 404, "ResourceNotFound"),
        ("DELETE", "jsonldContexts/unknown?reload=false", 404, "ResourceNotFound"),
        ("DELETE", "jsonldContexts/unknown?reload=true", 400, "BadRequestData"),
        ("DELETE", "jsonldContexts/unknown?reload=maybe", 400, "BadRequestData"),
        ("DELETE", at(CORE_CONTEXT_URL), 400, "BadRequestData"),
        ("GET", at(CORE_CONTEXT_URL), 422, "OperationNotSupported"),
    ],
)
@pytest.mark.clause("5.13.5")
async def test_wrong_requests_to_the_store(local: Api, method: str, path: str, status: int, name: str) -> None:
    answered, _, problem = await local(method, path)
    assert (answered, problem["type"]) == (status, ERROR + name)


async def test_the_core_context_is_built_in(local: Api) -> None:
    assert (await local("DELETE", at(CORE_CONTEXT_URL, reload="true")))[0] == 204
    assert (await local("GET", at(CORE_CONTEXT_URL, details="true")))[2]["kind"] == "Cached"


async def test_the_core_context_is_shown_in_the_version_that_was_named(local: Api) -> None:
    body = room()
    url = CORE_CONTEXT_URL.replace("v1.8", "v1.6")
    assert (await local("POST", "entities", body | {"@context": [url]}, Content_Type=LD))[0] == 201
    headers = (await local("GET", f"entities/{body['id']}", Link=link(url)))[1]
    assert headers["link"] == link(url)
    shown = (await local("GET", f"entities/{body['id']}", Link=link(url), Accept=LD))[2]
    assert shown == body | {"@context": url}


def subscription(**members: Any) -> dict[str, Any]:
    endpoint = {"uri": "http://127.0.0.1:9/notify"}
    return {"type": "Subscription", "entities": [{"type": "Room"}], "notification": {"endpoint": endpoint}} | members


@pytest.mark.clause("5.13.1")
async def test_a_context_without_an_address_gets_one(local: Api, web: ContextServer) -> None:
    """ImplicitlyCreated: the same one for the same @context, and served to whoever follows the link."""
    source = [web.put("c"), {"own": f"https://own.example/{web.port}"}]
    addresses = set()
    for _ in range(2):
        body = subscription() | {"@context": [*source, CORE_CONTEXT_URL]}
        status, headers, _ = await local("POST", "subscriptions", body, Content_Type=LD)
        assert status == 201
        path = headers["location"].removeprefix("/ngsi-ld/v1/")
        addresses.add((await local("GET", path))[2]["jsonldContext"])
    (url,) = addresses
    assert url.startswith(f"{local.address}/ngsi-ld/v1/jsonldContexts/")
    context_id = url.rpartition("/")[2]
    assert (await local("GET", at(context_id)))[2] == {"@context": source}
    assert await expanded(local, Link=link(url)) == FULL
    described = (await local("GET", at(context_id, details="true")))[2]
    assert (described["kind"], described["numberOfHits"]) == ("ImplicitlyCreated", 2)
    assert url in (await local("GET", "jsonldContexts?kind=ImplicitlyCreated"))[2]
    assert url not in (await local("GET", "jsonldContexts", NGSILD_Tenant="settat"))[2]
    assert (await local("DELETE", at(context_id, reload="true")))[0] == 400
    assert (await local("DELETE", at(context_id), NGSILD_Tenant="settat"))[0] == 404
    assert (await local("DELETE", at(context_id)))[0] == 204


@pytest.mark.clause("5.8.6")
async def test_a_relative_address_is_made_absolute_for_those_who_are_notified(local: Api) -> None:
    path = f"/ngsi-ld/v1/jsonldContexts/{await hosted(local, TERMS)}"
    status, headers, _ = await local("POST", "subscriptions", subscription(), Link=link(path))
    assert status == 201
    shown = (await local("GET", headers["location"].removeprefix("/ngsi-ld/v1/")))[2]
    assert shown["jsonldContext"] == local.address + path


@pytest.mark.clause("6.3.5")
async def test_the_answer_to_a_query_with_an_inline_context_names_its_address(local: Api) -> None:
    body = {"type": "Query", "entities": [{"type": "Room"}], "@context": TERMS}
    status, headers, _ = await local("POST", "entityOperations/query", body, Content_Type=LD)
    assert status == 200
    url = headers["link"].partition(f'>; rel="{CONTEXT_REL}"')[0].rpartition("<")[2]
    assert (await local("GET", at(url.rpartition("/")[2])))[2] == {"@context": TERMS}
    headers = (await local("POST", "entityOperations/query", body, Content_Type=LD, Accept=LD))[1]
    assert CONTEXT_REL not in headers.get("link", "")


async def test_the_public_address_of_the_broker(mongo: str) -> None:
    async with serving(settings(mongo, public_url="https://city.example/broker/")) as api:
        context_id = await hosted(api, TERMS)
        url = f"https://city.example/broker/ngsi-ld/v1/jsonldContexts/{context_id}"
        assert (await api("GET", at(context_id, details="true")))[2]["URL"] == url
        assert await expanded(api, Link=link(url)) == FULL
