"""Tenants: any name, an identity each, listed and deleted by operators; gone in every process once deleted."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient

from broker.settings import Settings
from broker.storage.mongo_tenants import database_name, tenant_of
from tests.broker.api.conftest import Api, serving
from tests.builders import room, unique_id

OPERATOR = {"Authorization": "Bearer sesame"}
TENANTS = "/ngsi-ld/ex/v1/tenants"
ODD_NAMES = ["Settat", "urn:ngsi-ld:tenant:1", "a/b", "a.b$c", "=41", "سطات", 'x"y*<>|?', "-_", "0"]


@pytest.fixture(scope="module")
async def pair(mongo: str) -> AsyncIterator[tuple[Api, Api]]:
    """Two context APIs on one database: what one process does, the other sees."""
    settings = Settings(mongodb_uri=mongo, database="tenancy", operator_key="sesame")
    async with serving(settings) as one, serving(settings) as other:
        yield one, other


@given(st.text(min_size=1, max_size=40))
def test_a_database_tells_its_tenant(name: str) -> None:
    name = name.encode("utf-8", "ignore").decode()
    assert tenant_of("medina", database_name("medina", name)) == name


@given(st.text(min_size=1), st.text(min_size=1))
def test_tenants_do_not_share_a_database(one: str, other: str) -> None:
    names = [database_name("medina", name.encode("utf-8", "ignore").decode()) for name in (one, other)]
    assert (names[0].lower() == names[1].lower()) == (names[0] == names[1])
    assert not set(names[0]) & set('/\\. "$*<>:|?')


@pytest.mark.clause("4.14")
@pytest.mark.parametrize("name", ODD_NAMES)
async def test_any_name_makes_a_tenant(pair: tuple[Api, Api], name: str) -> None:
    one, other = pair
    body = room()
    assert (await one("POST", "entities", body, NGSILD_Tenant=name))[0] == 201
    assert (await other("GET", f"entities/{body['id']}", NGSILD_Tenant=name))[2] == body
    assert (await other("GET", f"entities/{body['id']}"))[0] == 404
    listed = (await other("GET", TENANTS, **OPERATOR))[2]
    assert name in [item["name"] for item in listed]


@pytest.mark.parametrize("name", ["a b", "a,b", "x" * 41, "X" * 14, "a\tb"])
async def test_a_name_that_cannot_be_one(pair: tuple[Api, Api], name: str) -> None:
    status, _, problem = await pair[0]("POST", "entities", room(), NGSILD_Tenant=name)
    assert (status, problem["type"].rpartition("/")[2]) == (400, "BadRequestData")


async def test_only_operators_administer_tenants(pair: tuple[Api, Api], api: Api) -> None:
    for method, path in (("GET", TENANTS), ("DELETE", f"{TENANTS}/Settat")):
        assert (await pair[0](method, path))[0] == 401
        status, headers, _ = await pair[0](method, path, Authorization="Bearer open")
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert (await api(method, path, **OPERATOR))[0] == 403
    assert (await pair[0]("DELETE", f"{TENANTS}/never-there", **OPERATOR))[0] == 404


@pytest.mark.parametrize("name", ["gone", "Gone/away"])
async def test_a_deleted_tenant_is_gone_in_every_process(pair: tuple[Api, Api], name: str) -> None:
    one, other = pair
    tenant = {"NGSILD_Tenant": name}
    kept, body = room(), room()
    subscription = {
        "type": "Subscription",
        "entities": [{"type": "Room"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/"}},
    }
    assert (await one("POST", "entities", kept))[0] == 201
    for process in pair:
        assert (await process("POST", "entityOperations/upsert", [body], **tenant))[0] in (201, 204)
        assert (await process("POST", "subscriptions", subscription, **tenant))[0] == 201
    assert (await one("DELETE", f"{TENANTS}/{quote(name, safe='')}", **OPERATOR))[0] == 204
    for process in pair:
        for method, path, sent in (
            ("GET", f"entities/{body['id']}", None),
            ("GET", "entities?type=Room", None),
            ("GET", "subscriptions", None),
            ("PATCH", f"entities/{body['id']}/attrs", {"temperature": 3}),
        ):
            status, _, problem = await process(method, path, sent, **tenant)
            assert (status, problem["type"].rpartition("/")[2]) == (404, "NonexistentTenant")
        assert name not in [item["name"] for item in (await process("GET", TENANTS, **OPERATOR))[2]]
        assert (await process("GET", f"entities/{kept['id']}"))[0] == 200

    # created anew by one process it is empty, also for the other, which remembers what it wrote
    assert (await one("POST", "entities", room(), **tenant))[0] == 201
    status, _, problem = await other("PATCH", f"entities/{body['id']}/attrs", {"temperature": 3}, **tenant)
    assert (status, problem["type"].rpartition("/")[2]) == (404, "ResourceNotFound")
    assert (await other("GET", "subscriptions", **tenant))[2] == []


async def test_nothing_is_written_to_a_tenant_after_its_deletion(pair: tuple[Api, Api], mongo: str) -> None:
    one, other = pair
    ids = [unique_id() for _ in range(5)]
    done = asyncio.Event()
    answers: list[int] = []

    async def write(process: Api, entity_id: str) -> None:
        while not done.is_set():
            body: Any = [{"id": entity_id, "type": "Room", "count": len(answers)}]
            status, _, result = await process("POST", "entityOperations/merge", body, NGSILD_Tenant="busy")
            answers.append(status)
            if status == 207:  # it was in the queue when the tenant went
                assert result["errors"][0]["error"]["status"] == 404

    assert (
        await one(
            "POST", "entityOperations/create", [{"id": item, "type": "Room"} for item in ids], NGSILD_Tenant="busy"
        )
    )[0] == 201
    writers = [asyncio.create_task(write(process, item)) for process in pair for item in ids]
    assert (await other("DELETE", f"{TENANTS}/busy", **OPERATOR))[0] == 204
    done.set()
    await asyncio.gather(*writers)
    assert {204, 404} <= set(answers) <= {204, 207, 404}
    with MongoClient[dict[str, Any]](mongo) as client:
        assert "tenancy_busy" not in client.list_database_names()


async def test_a_tenant_that_is_being_deleted_cannot_be_created(pair: tuple[Api, Api]) -> None:
    one, other = pair
    assert (await one("POST", "entities", room(), NGSILD_Tenant="leaving"))[0] == 201
    deleting = asyncio.create_task(one("DELETE", f"{TENANTS}/leaving", **OPERATOR))
    refused = []
    while not deleting.done():
        status, headers, _ = await other("POST", "entities", room(), NGSILD_Tenant="leaving")
        if status == 503:
            refused.append(headers["retry-after"])
    assert set(refused) == {"3"}
    assert (await deleting)[0] == 204
    assert (await one("POST", "entities", room(), NGSILD_Tenant="leaving"))[0] == 201


@pytest.mark.clause("5.15.1")
async def test_each_tenant_has_an_identity(pair: tuple[Api, Api], api: Api) -> None:
    async def alias(process: Api, **headers: str) -> str:
        status, answered, body = await process("GET", "info/sourceIdentity", **headers)
        assert (status, answered["content-type"]) == (200, "application/json")
        assert body["type"] == "ContextSourceIdentity"
        assert body["contextSourceUptime"].startswith("PT")
        assert body["contextSourceTimeAt"].endswith("Z")
        return str(body["contextSourceAlias"])

    one, other = pair
    aliases = [await alias(one), await alias(one, NGSILD_Tenant="unheard-of"), await alias(one, NGSILD_Tenant="a/b")]
    assert len(set(aliases)) == 3
    assert aliases == [
        await alias(other),
        await alias(other, NGSILD_Tenant="unheard-of"),
        await alias(other, NGSILD_Tenant="a/b"),
    ]
    assert await alias(api) not in aliases
    assert (await one("GET", "entities?type=Room", NGSILD_Tenant="unheard-of"))[0] == 404
