"""Entities and attributes that expire (clause 4.22)."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.broker.api.conftest import Api
from tests.builders import room, unique_id
from tests.waiting import until

PAST = "2020-01-01T00:00:00Z"


def soon(seconds: float = 0.6) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.clause("4.22")
async def test_an_expired_entity_is_gone_and_its_id_free(api: Api) -> None:
    body = room(expiresAt=soon())
    assert (await api("POST", "entities", body))[0] == 201
    status, _, found = await api("GET", f"entities/{body['id']}?options=sysAttrs")
    assert (status, found["expiresAt"]) == (200, body["expiresAt"])
    assert "expiresAt" not in (await api("GET", f"entities/{body['id']}"))[2]
    await asyncio.sleep(0.7)  # the passing of time itself is what is tested
    assert (await api("GET", f"entities/{body['id']}"))[0] == 404
    assert (await api("GET", f"entities?type=Room&id={body['id']}"))[2] == []
    assert (await api("DELETE", f"entities/{body['id']}"))[0] == 404
    assert (await api("POST", "entities", room(body["id"])))[0] == 201
    assert (await api("POST", "entities", room(body["id"])))[0] == 409


@pytest.mark.clause("4.22")
async def test_an_expired_attribute_is_neither_shown_nor_matched_nor_listed(api: Api) -> None:
    kind = unique_id("Kind").replace(":", "").replace("-", "")
    body = {
        "id": unique_id(kind),
        "type": kind,
        "co2": {"type": "Property", "value": 600, "expiresAt": soon()},
        "noise": [{"value": 1, "datasetId": "urn:x:a", "expiresAt": soon()}, {"value": 2}],
        "name": {"value": "x", "checked": {"value": True, "expiresAt": soon()}},
    }
    assert (await api("POST", "entities", body, NGSILD_Tenant="brief"))[0] == 201

    async def found(parameters: str) -> bool:
        return bool((await api("GET", f"entities?type={kind}&{parameters}", NGSILD_Tenant="brief"))[2])

    conditions = ["q=co2==600", "attrs=co2", "q=noise==1", "q=name.checked==true", "q=name.checked"]
    assert [await found(condition) for condition in conditions] == [True] * 5
    assert not await found("q=!co2")
    await asyncio.sleep(0.7)  # the passing of time itself is what is tested
    assert [await found(condition) for condition in conditions] == [False] * 5
    assert await found("q=!co2")
    assert await found("q=noise==2")
    _, _, shown = await api("GET", f"entities/{body['id']}?format=concise", NGSILD_Tenant="brief")
    assert shown == {"id": body["id"], "type": kind, "noise": 2, "name": "x"}
    _, _, described = await api("GET", f"types/{kind}", NGSILD_Tenant="brief")
    assert [item["attributeName"] for item in described["attributeDetails"]] == ["name", "noise"]
    assert (await api("GET", "attributes/co2", NGSILD_Tenant="brief"))[0] == 404


@pytest.mark.clause("4.22")
async def test_what_has_expired_is_deleted_for_good(api: Api) -> None:
    """A subscriber is told, as of any deletion; `modifiedAt` shows that the attribute's loss was written down."""
    body = room(co2={"type": "Property", "value": 600, "expiresAt": soon()})
    await api("POST", "entities", body)
    _, _, before = await api("GET", f"entities/{body['id']}?options=sysAttrs")

    async def written() -> bool:
        _, _, after = await api("GET", f"entities/{body['id']}?options=sysAttrs")
        return bool(after["modifiedAt"] > before["modifiedAt"])

    await until(written, within_s=5)
    assert "co2" not in (await api("GET", f"entities/{body['id']}"))[2]


@pytest.mark.clause("4.22")
async def test_an_expiry_in_the_past_takes_effect_at_once(api: Api) -> None:
    body = room(expiresAt=PAST)
    assert (await api("POST", "entities", body))[0] == 201
    assert (await api("GET", f"entities/{body['id']}"))[0] == 404
    body = room(co2={"value": 1, "expiresAt": PAST})
    assert (await api("POST", "entities", body))[0] == 201
    assert "co2" not in (await api("GET", f"entities/{body['id']}"))[2]
    assert (await api("PATCH", f"entities/{body['id']}", {"expiresAt": PAST}))[0] == 204
    assert (await api("PATCH", f"entities/{body['id']}", {"co2": 5}))[0] == 404
    assert (await api("PATCH", f"entities/{room()['id']}", {"expiresAt": "tomorrow"}))[0] in (400, 404)


@pytest.mark.clause("4.22")
async def test_an_expired_entity_is_in_nobodys_way_within_a_batch(api: Api) -> None:
    body = room(expiresAt=PAST)
    status, _, ids = await api("POST", "entityOperations/create", [body, room(body["id"], co2=1), room(expiresAt=PAST)])
    assert (status, len(ids)) == (201, 2)
    assert "co2" in (await api("GET", f"entities/{body['id']}"))[2]


@pytest.mark.clause("4.22")
async def test_an_expiry_ends_with_the_value_it_was_given_for(api: Api) -> None:
    body = room(co2={"value": 1, "expiresAt": soon(60)})
    path = f"entities/{body['id']}"
    await api("POST", "entities", body)

    async def expiry() -> object:
        return (await api("GET", f"{path}?options=sysAttrs"))[2]["co2"].get("expiresAt")

    await api("PATCH", f"{path}/attrs/co2", {"value": 2})
    assert await expiry() == body["co2"]["expiresAt"]
    await api("PATCH", path, {"co2": {"value": 3}})
    assert await expiry() == body["co2"]["expiresAt"]
    await api("POST", f"{path}/attrs", {"co2": {"value": 4}})
    assert await expiry() is None
