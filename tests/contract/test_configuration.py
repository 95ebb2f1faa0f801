"""Devices that ask for their configuration: once, or whenever it changes; over MQTT and HTTP, JSON and UltraLight."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.conftest import Site, running_site
from tests.contract.http_device import http_device
from tests.contract.mqtt_device import mqtt_device
from tests.waiting import until

KEYS = {"json": "configjson", "ul": "configul"}
TENANT = "openiot"
STAMP = r"\d{8}T\d{6}Z"


@pytest.fixture(scope="module", autouse=True)
async def provisioned(site: Site, notifier: None) -> None:
    resources = {"json": "/iot/json", "ul": "/iot/d"}
    groups = [
        {"apikey": KEYS[kind], "entity_type": "Fan", "resource": resource, "transport": "MQTT"}
        for kind, resource in resources.items()
    ]
    assert await site.provision("POST", "/iot/groups", {"groups": groups}) == (201, {})


async def fan(site: Site, kind: str, device: str, **members: Any) -> str:
    """Provision a fan whose entity says how it is to work; the id of the entity."""
    entity = f"urn:ngsi-ld:Fan:{device}"
    body = {"device_id": device, "apikey": KEYS[kind], "entity_name": entity, "entity_type": "Fan", **members}
    assert await site.provision("POST", "/iot/devices", {"devices": [body]}) == (201, {})
    wanted = {"sleepTime": {"type": "Property", "value": 200}, "warningLevel": {"type": "Property", "value": "80"}}
    created = {"id": entity, "type": "Fan", **wanted}
    assert (await site.api("POST", "entities", created, NGSILD_Tenant=TENANT))[0] == 201
    return entity


async def change(site: Site, entity: str, name: str, value: Any) -> None:
    body = {"type": "Property", "value": value}
    assert (await site.api("PATCH", f"entities/{entity}/attrs/{name}", body, NGSILD_Tenant=TENANT))[0] == 204


def request_of(kind: str, type_: str, *fields: str) -> str:
    return json.dumps({"type": type_, "fields": fields}) if kind == "json" else "|".join([type_, *fields])


def values_of(kind: str, device: str, heard: str) -> dict[str, Any]:
    """What a device is told, without the time, which must be there."""
    if kind == "json":
        told: dict[str, Any] = json.loads(heard)
    else:
        head, *pairs = heard.split("|")
        assert head == f"{device}@configuration"
        told = {name: int(text) if text == "200" else text for name, text in (pair.split("=") for pair in pairs)}
    assert re.fullmatch(STAMP, told.pop("dt"))
    return told


@pytest.mark.parametrize("kind", ["json", "ul"])
async def test_asked_for_once(site: Site, kind: str) -> None:
    device = f"fan-once-{kind}"
    await fan(site, kind, device)
    async with mqtt_device(site.mqtt_url, f"/{KEYS[kind]}/{device}/configuration/values") as told:
        topic = f"/{kind}/{KEYS[kind]}/{device}/configuration/commands"
        await site.publish(topic, request_of(kind, "configuration", "sleepTime", "missing"))
        await until(lambda: len(told.heard) == 1)
        assert values_of(kind, device, told.heard[0]) == {"sleepTime": 200}


@pytest.mark.parametrize("kind", ["json", "ul"])
async def test_followed(site: Site, kind: str) -> None:
    device = f"fan-follows-{kind}"
    entity = await fan(site, kind, device)
    async with mqtt_device(site.mqtt_url, f"/{KEYS[kind]}/{device}/configuration/values") as told:
        topic = f"/{kind}/{KEYS[kind]}/{device}/configuration/commands"
        await site.publish(topic, request_of(kind, "subscription", "sleepTime", "warningLevel"))
        await until(lambda: len(told.heard) == 1)
        assert values_of(kind, device, told.heard[0]) == {"sleepTime": 200, "warningLevel": "80"}
        await change(site, entity, "warningLevel", "95")
        await until(lambda: len(told.heard) == 2)
        assert values_of(kind, device, told.heard[1]) == {"sleepTime": 200, "warningLevel": "95"}, "all are sent"
        await site.publish(topic, request_of(kind, "subscription", "warningLevel"))  # in place of what it wanted before
        await until(lambda: len(told.heard) == 3)
        await change(site, entity, "sleepTime", 300)
        await change(site, entity, "warningLevel", "50")
        await until(lambda: len(told.heard) == 4)
        assert values_of(kind, device, told.heard[3]) == {"warningLevel": "50"}
    assert await followed(site, entity) == [["warningLevel"]], "one subscription, however often it asks"
    assert (await site.provision("DELETE", f"/iot/devices/{device}"))[0] == 204

    async def gone() -> bool:
        return await followed(site, entity) == []

    await until(gone)


async def followed(site: Site, entity: str) -> list[list[str]]:
    """What is subscribed to of an entity."""
    _, _, subscriptions = await site.api("GET", "subscriptions?limit=100", NGSILD_Tenant=TENANT)
    return [each["watchedAttributes"] for each in subscriptions if each["entities"][0].get("id") == entity]


async def test_device_that_was_away_is_told_the_newest(mongo: str, site: Site) -> None:
    """Also when it is another agent that is asked, and one that is told of the change."""
    entity = await fan(site, "json", "fan-away")
    topic = f"/{KEYS['json']}/fan-away/configuration"
    async with running_site(mongo, site.mqtt_url, site.api, mqtt_client_id="configuration-second") as other:
        url = f"{other.south}/iot/json/configuration?i=fan-away&k={KEYS['json']}"
        wish = {"type": "subscription", "fields": ["sleepTime"]}
        assert (await site.request("POST", url, wish))[:2] == (200, {})
        for value in (1, 2, 3):
            await change(site, entity, "sleepTime", value)
    async with mqtt_device(site.mqtt_url, f"{topic}/values") as told:
        await until(lambda: bool(told.heard))
        assert values_of("json", "fan-away", told.heard[-1]) == {"sleepTime": 3}
        await site.publish(f"/json{topic}/commands", request_of("json", "subscription"))  # no fields: no more

        async def gone() -> bool:
            return await followed(site, entity) == []

        await until(gone)


async def test_over_http(site: Site, free_port: Callable[[], int]) -> None:
    async with http_device(free_port()) as told:
        entity = await fan(site, "json", "fan-http", transport="HTTP", endpoint=told.url)
        url = f"{site.south}/iot/json/configuration?i=fan-http&k={KEYS['json']}"
        once = {"type": "configuration", "fields": ["sleepTime"]}
        assert (await site.request("POST", url, once))[:2] == (200, {})
        await until(lambda: len(told.told) == 1)
        told.statuses = [503]
        always = {"type": "subscription", "fields": ["sleepTime"]}
        assert (await site.request("POST", url, always))[:2] == (200, {})
        await until(lambda: len(told.told) == 3)  # the first was answered 503
        await change(site, entity, "sleepTime", 17)
        await until(lambda: len(told.told) == 4)
    assert {each.path for each in told.told} == {"/bell/configuration"}
    assert [values_of("json", "", each.body.decode())["sleepTime"] for each in told.told] == [200, 200, 200, 17]
    assert told.told[0].headers["content-type"] == "application/json"


async def test_refusals(site: Site) -> None:
    await fan(site, "json", "fan-refused")
    await fan(site, "json", "fan-polls", transport="HTTP")

    async def refused(device: str, body: Any) -> tuple[int, str]:
        url = f"{site.south}/iot/json/configuration?i={device}&k={KEYS['json']}"
        status, answer, _ = await site.request("POST", url, body)
        return status, answer["name"]

    assert await refused("fan-refused", {"type": "wish", "fields": ["a"]}) == (400, "WRONG_SYNTAX")
    assert await refused("fan-refused", {"type": "configuration", "fields": []}) == (400, "WRONG_SYNTAX")
    assert await refused("fan-refused", {"type": "subscription", "fields": "a"}) == (400, "WRONG_SYNTAX")
    assert await refused("fan-polls", {"type": "subscription", "fields": ["a"]}) == (400, "ENDPOINT_NOT_FOUND")
