"""Batch upsert over HTTP."""

import pytest

from tests.broker.api.conftest import CAMPUS, Api
from tests.builders import room, unique_id


@pytest.mark.clause("5.6.8")
async def test_upsert_tells_created_from_updated(api: Api) -> None:
    old, new = room(humidity=40), room()
    path = "entityOperations/upsert?options=update"
    assert (await api("POST", path, [old]))[::2] == (201, [old["id"]])
    assert (await api("POST", path, [{"id": old["id"], "type": "Room", "temperature": 30}, new]))[::2] == (
        201,
        [new["id"]],
    )
    assert (await api("POST", path, [old, new]))[0] == 204
    _, _, shown = await api("GET", f"entities/{old['id']}?options=keyValues")
    assert shown["humidity"] == 40


async def test_replacing_drops_what_is_not_named(api: Api) -> None:
    body = room(humidity=40)
    await api("POST", "entities", body)
    assert (await api("POST", "entityOperations/upsert", [{"id": body["id"], "type": "Hall", "co2": 1}]))[0] == 204
    _, _, shown = await api("GET", f"entities/{body['id']}?options=keyValues")
    assert shown == {"id": body["id"], "type": "Hall", "co2": 1}


async def test_one_bad_entity_costs_only_itself(api: Api) -> None:
    good, bad = room(), unique_id()
    status, headers, result = await api(
        "POST", "entityOperations/upsert", [good, {"id": bad, "type": "Room", "a": {"type": "Property"}}, 5]
    )
    assert (status, headers["content-type"], result["success"]) == (207, "application/json", [good["id"]])
    assert [error["entityId"] for error in result["errors"]] == [bad, "urn:ngsi-ld:null"]
    assert result["errors"][0]["error"]["type"].endswith("BadRequestData")
    assert (await api("GET", f"entities/{good['id']}"))[2] == good


async def test_an_entity_named_twice_is_written_twice_in_order(api: Api) -> None:
    entity_id = unique_id()
    bodies = [{"id": entity_id, "type": "Room", "count": number, f"a{number}": 1} for number in range(5)]
    assert (await api("POST", "entityOperations/upsert?options=update", bodies))[::2] == (201, [entity_id])
    _, _, shown = await api("GET", f"entities/{entity_id}?options=keyValues")
    assert (shown["count"], [name for name in shown if name[0] == "a"]) == (4, ["a0", "a1", "a2", "a3", "a4"])


@pytest.mark.clause("6.3.5")
async def test_with_ld_json_each_entity_has_its_own_context(api: Api) -> None:
    one, two = unique_id(), unique_id()
    bodies = [{"@context": CAMPUS, "id": one, "type": "Zone", "peopleCount": 1}, {"id": two, "type": "Zone"}]
    status, _, result = await api("POST", "entityOperations/upsert", bodies, Content_Type="application/ld+json")
    assert (status, result["success"], result["errors"][0]["entityId"]) == (207, [one], two)


async def test_a_batch_of_a_thousand(api: Api) -> None:
    bodies = [room() for _ in range(1000)]
    status, _, created = await api("POST", "entityOperations/upsert", bodies)
    assert (status, created) == (201, [body["id"] for body in bodies])


async def test_newer_values_are_kept_for_who_prefers_it(api: Api) -> None:
    entity_id = unique_id()

    def measured(value: int, second: int, **others: object) -> dict[str, object]:
        at = f"2026-03-01T09:00:{second:02}.000Z"
        return {"id": entity_id, "type": "Room", "n": {"type": "Property", "value": value, "observedAt": at}, **others}

    path, preferred = "entityOperations/upsert?options=update", {"Prefer": "keep-newer"}
    status, headers, _ = await api("POST", path, [measured(2, 2)], **preferred)
    assert (status, headers["preference-applied"]) == (201, "keep-newer")
    _, _, before = await api("GET", f"entities/{entity_id}?options=sysAttrs")
    assert (await api("POST", path, [measured(1, 1), measured(2, 2)], **preferred))[0] == 204
    assert (await api("GET", f"entities/{entity_id}?options=sysAttrs"))[2] == before
    assert (await api("POST", path, [measured(1, 1, m=5)], **preferred))[0] == 204
    _, _, after = await api("GET", f"entities/{entity_id}?options=keyValues")
    assert (after["n"], after["m"]) == (2, 5)
    status, headers, _ = await api("POST", path, [measured(1, 1)])
    assert "preference-applied" not in headers
    assert (await api("GET", f"entities/{entity_id}?options=keyValues"))[2]["n"] == 1
