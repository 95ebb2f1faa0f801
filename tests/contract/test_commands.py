"""Commands the FIWARE tutorials' way: provision, PATCH the attribute, the device is told and answers, it shows."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from tests.broker.api.conftest import Api
from tests.contract.conftest import Site, running_site
from tests.contract.http_device import http_device
from tests.contract.mqtt_device import MqttDevice, mqtt_device
from tests.waiting import until

JSON_KEY, UL_KEY = "commandjson", "commandul"
TENANT = "openiot"


@pytest.fixture(scope="module", autouse=True)
async def provisioned(site: Site, notifier: None) -> None:
    groups = [
        {"apikey": JSON_KEY, "entity_type": "Thing", "resource": "/iot/json"},
        {"apikey": UL_KEY, "entity_type": "Thing", "resource": "/iot/d"},
    ]
    assert await site.provision("POST", "/iot/groups", {"groups": groups}) == (201, {})


async def provision(site: Site, device: str, protocol: str = "IoTA-JSON", **members: Any) -> str:
    """Provision a bell that rings and moves; the id of its entity."""
    entity = f"urn:ngsi-ld:Bell:{device}"
    body = {
        "device_id": device,
        "apikey": JSON_KEY if protocol == "IoTA-JSON" else UL_KEY,
        "entity_name": entity,
        "entity_type": "Bell",
        "protocol": protocol,
        "transport": "MQTT",
        "commands": [{"name": "ring", "type": "command"}, {"name": "move", "type": "command"}],
    }
    assert await site.provision("POST", "/iot/devices", {"devices": [{**body, **members}]}) == (201, {})
    return entity


async def command(site: Site, entity: str, name: str, value: Any) -> None:
    """PATCH the attribute, as an application does."""
    body = {"type": "Property", "value": value}
    status, _, answer = await site.api("PATCH", f"entities/{entity}/attrs/{name}", body, NGSILD_Tenant=TENANT)
    assert status == 204, answer


async def listed(site: Site, **query: Any) -> list[dict[str, Any]]:
    """The commands the agent tells of, oldest first."""
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    status, answer, _ = await site.request("GET", f"{site.north}/commands?{asked}")
    assert status == 200, answer
    found: list[dict[str, Any]] = answer["commands"]
    return found[::-1]


async def test_attributes_are_there_after_provisioning(site: Site) -> None:
    entity = await provision(site, "bell000")
    found = await site.entity(entity)
    assert found is not None
    assert found["type"] == "Bell"
    assert (found["ring_status"]["value"], found["ring_info"]["value"]) == ("UNKNOWN", " ")
    assert found["ring"]["value"] == {"type": "command"}


@pytest.mark.parametrize(
    ("protocol", "told", "answered"),
    [
        ("IoTA-JSON", '{"ring":"twice"}', '{"ring": "rung"}'),
        ("IoTA-UL", "{device}@ring|twice", "{device}@ring|rung"),
    ],
)
async def test_over_mqtt(site: Site, protocol: str, told: str, answered: str) -> None:
    kind = "json" if protocol == "IoTA-JSON" else "ul"
    key, device = (JSON_KEY if kind == "json" else UL_KEY), f"bell-mqtt-{kind}"
    entity = await provision(site, device, protocol)
    async with mqtt_device(site.mqtt_url, f"/{key}/{device}/cmd") as bell:
        await command(site, entity, "ring", "twice")
        await until(lambda: bell.heard == [told.replace("{device}", device)])
        await site.arrived(entity, ring_status="DELIVERED")
        await site.publish(f"/{kind}/{key}/{device}/cmdexe", answered.replace("{device}", device))
        await site.arrived(entity, ring_status="OK", ring_info="rung", move_status="UNKNOWN")
    (one,) = await listed(site, device=device)
    assert [step["status"] for step in one["history"]] == ["PENDING", "DELIVERED", "OK"]
    assert (one["value"], one["attempts"]) == ("twice", 1)


async def test_the_same_command_again(site: Site) -> None:
    """The same value is no change to NGSI-LD; so the agent makes the attribute ready for it."""
    entity = await provision(site, "bell-again")
    async with mqtt_device(site.mqtt_url, f"/{JSON_KEY}/bell-again/cmd") as bell:
        for count in (1, 2, 3):
            await command(site, entity, "ring", "")
            await until(partial(heard, bell, ['{"ring":""}'] * count))

            async def ready() -> bool:
                found = await site.entity(entity)
                return found is not None and found["ring"]["value"] != ""

            await until(ready)


async def test_two_commands_stay_two_and_in_order(site: Site) -> None:
    entity = await provision(site, "bell-two")
    values = [f"number {number}" for number in range(8)]
    for value in values:
        await command(site, entity, "move", value)

    async def taken() -> bool:
        return len(await listed(site, device="bell-two")) == len(values)

    await until(taken)
    async with mqtt_device(site.mqtt_url, f"/{JSON_KEY}/bell-two/cmd") as bell:  # it was not there before
        await until(lambda: len(bell.heard) == len(values))
        assert bell.heard == [f'{{"move":"{value}"}}' for value in values]
        for value in values:
            await site.publish(f"/json/{JSON_KEY}/bell-two/cmdexe", f'{{"move": "did {value}"}}')
        await site.arrived(entity, move_status="OK", move_info="did number 7")
    done = await listed(site, device="bell-two")
    assert [(each["value"], each["info"], each["status"]) for each in done] == [
        (value, f"did {value}", "OK") for value in values
    ]


@pytest.mark.parametrize(("name", "device"), [("wildcard", "bell+1"), ("null", "bell\0"), ("tab", "bell\t1")])
async def test_device_that_no_topic_can_name(site: Site, name: str, device: str) -> None:
    """Its message would cost everybody's commands the connection to the MQTT broker."""
    entity = f"urn:ngsi-ld:Bell:{name}"
    await provision(site, device, entity_name=entity)
    await command(site, entity, "ring", 1)
    reason = "a topic cannot have the characters of its apikey or device"
    await site.arrived(entity, ring_status="ERROR", ring_info=reason)


@pytest.mark.parametrize("protocol", ["IoTA-JSON", "IoTA-UL"])
async def test_pushed_over_http(site: Site, protocol: str, free_port: Callable[[], int]) -> None:
    device = "bell-push-json" if protocol == "IoTA-JSON" else "bell-push-ul"
    async with http_device(free_port()) as bell:
        bell.answer = b'{"ring": "rung"}' if protocol == "IoTA-JSON" else f"{device}@ring|rung".encode()
        entity = await provision(site, device, protocol, transport="HTTP", endpoint=bell.url)
        await command(site, entity, "ring", {"times": 2})
        await site.arrived(entity, ring_status="OK", ring_info="rung")
    (told,) = bell.told
    assert told.body == (b'{"ring":{"times":2}}' if protocol == "IoTA-JSON" else f"{device}@ring|times=2".encode())
    assert (told.headers["fiware-service"], told.headers["fiware-servicepath"]) == ("openiot", "/")
    assert told.headers["x-command-id"] == (await listed(site, device=device))[0]["id"]


async def test_push_is_tried_again(site: Site, free_port: Callable[[], int]) -> None:
    async with http_device(free_port()) as bell:
        bell.statuses = [503, 429]
        entity = await provision(site, "bell-retry", transport="HTTP", endpoint=bell.url)
        await command(site, entity, "ring", 1)
        await command(site, entity, "ring", 2)
        await site.arrived(entity, ring_status="OK")
        await until(lambda: len(bell.told) == 4)
    assert [told.body for told in bell.told] == [b'{"ring":1}'] * 3 + [b'{"ring":2}']
    assert [each["attempts"] for each in await listed(site, device="bell-retry")] == [3, 1]


async def test_push_is_refused(site: Site, free_port: Callable[[], int]) -> None:
    async with http_device(free_port()) as bell:
        bell.statuses = [404]
        bell.answer = b"no bell here"
        entity = await provision(site, "bell-none", transport="HTTP", endpoint=bell.url)
        await command(site, entity, "ring", 1)
        await site.arrived(entity, ring_status="ERROR", ring_info="404 no bell here")


async def test_polled_json(site: Site) -> None:
    entity = await provision(site, "bell-poll", transport="HTTP")
    for name, value in (("ring", 1), ("ring", 2), ("move", "left")):
        await command(site, entity, name, value)
    await site.arrived(entity, ring_status="PENDING", move_status="PENDING")
    await until_listed(site, "bell-poll", 3)
    url = f"{site.south}/iot/json?i=bell-poll&k={JSON_KEY}&getCmd=1"
    assert (await site.request("GET", url))[:2] == (200, {"ring": 1, "move": "left"})
    assert (await site.request("POST", url, {"t": 7}))[:2] == (200, {"ring": 2}), "two of one name stay two"
    assert (await site.request("GET", url))[:2] == (200, {})
    await site.arrived(entity, ring_status="DELIVERED", move_status="DELIVERED", t=7)
    done = f"{site.south}/iot/json/commands?i=bell-poll&k={JSON_KEY}"
    assert (await site.request("POST", done, {"ring": "first", "move": "moved"}))[0] == 200
    assert (await site.request("POST", done, {"ring": "second"}))[0] == 200
    await site.arrived(entity, ring_status="OK", ring_info="second", move_status="OK", move_info="moved")


async def test_polled_ultralight(site: Site) -> None:
    entity = await provision(site, "bell-poll-ul", "IoTA-UL", transport="HTTP")
    await command(site, entity, "ring", "soft")
    await command(site, entity, "move", {"x": 1, "y": 2})
    await until_listed(site, "bell-poll-ul", 2)
    url = f"{site.south}/iot/d?i=bell-poll-ul&k={UL_KEY}"
    status, answer, _ = await site.request("GET", url + "&getCmd=1")
    assert (status, answer) == (200, "bell-poll-ul@ring|soft#bell-poll-ul@move|x=1|y=2")
    sent = "bell-poll-ul@ring|rung"
    assert (await site.request("POST", url, data=sent, Content_Type="text/plain"))[0] == 200
    await site.arrived(entity, ring_status="OK", ring_info="rung", move_status="DELIVERED")


async def until_listed(site: Site, device: str, count: int) -> None:
    """Return when the agent has taken so many commands of the device."""

    async def there() -> bool:
        return len(await listed(site, device=device)) == count

    await until(there)


async def test_commands_of_devices_that_join(site: Site) -> None:
    group = {"apikey": "joining", "entity_type": "Lamp", "resource": "/iot/json", "commands": [{"name": "on"}]}
    assert (await site.provision("POST", "/iot/groups", {"groups": [group]}))[0] == 201
    async with mqtt_device(site.mqtt_url, "/joining/lamp1/cmd") as lamp:
        await site.publish("/json/joining/lamp1/attrs", '{"lux": 3}')
        await site.arrived("urn:ngsi-ld:Lamp:lamp1", on_status="UNKNOWN", lux=3)
        await command(site, "urn:ngsi-ld:Lamp:lamp1", "on", True)
        await until(lambda: lamp.heard == ['{"on":true}'])


async def test_expressions_payload_types_and_headers(site: Site, free_port: Callable[[], int]) -> None:
    async with http_device(free_port()) as bell:
        commands = [
            {
                "name": "ring",
                "expression": "{set: ring * 2, on: id}",
                "contentType": "application/x",
                "headers": {"a": "id"},
            },
            {"name": "move", "expression": "move", "payloadType": "text", "contentType": "text/plain"},
            {"name": "raw", "expression": "raw", "payloadType": "binaryfromhex", "headers": "none that can be sent"},
        ]
        entity = await provision(site, "bell-exp", transport="HTTP", endpoint=bell.url, commands=commands)
        await command(site, entity, "ring", 4)
        await command(site, entity, "move", "left")
        await command(site, entity, "raw", "00ff")
        await until(lambda: len(bell.told) == 3)
        await command(site, entity, "raw", "no hex")
        await site.arrived(entity, raw_status="ERROR", raw_info="the value of raw is not hexadecimal")
    assert [told.body for told in bell.told] == [b'{"set":8,"on":"bell-exp"}', b"left", b"\x00\xff"]
    assert (bell.told[0].headers["content-type"], bell.told[0].headers["a"]) == ("application/x", "bell-exp")


async def test_expiry_and_what_comes_too_late(mongo: str, mqtt_url: str, context_api: Api, site: Site) -> None:
    """A command nobody takes expires; a result after that still counts, the same again does not."""
    changes = {"database": "expiry", "command_expires_s": 1.0}
    async with running_site(mongo, mqtt_url, context_api, **changes) as brief:
        group = {"apikey": "brief", "entity_type": "Door", "resource": "/iot/json", "commands": [{"name": "open"}]}
        assert (await brief.provision("POST", "/iot/groups", {"groups": [group]}))[0] == 201
        device = {"device_id": "door1", "apikey": "brief", "entity_name": "urn:ngsi-ld:Door:1", "entity_type": "Door"}
        assert (await brief.provision("POST", "/iot/devices", {"devices": [device]}))[0] == 201
        await command(brief, "urn:ngsi-ld:Door:1", "open", "wide")
        await brief.arrived("urn:ngsi-ld:Door:1", open_status="EXPIRED", open_info="EXPIRED")
        for count in (1, 2):
            await brief.publish("/json/brief/door1/cmdexe", '{"open": "opened"}')
            await brief.arrived("urn:ngsi-ld:Door:1", open_status="OK", open_info="opened")
            wanted = {"late": 1.0, "repeated": float(count - 1)}
            await until(partial(counted, brief, wanted))
        (one,) = await listed(brief, device="door1")
        statuses = [step["status"] for step in one["history"]]
        assert (statuses[0], statuses[-2:]) == ("PENDING", ["EXPIRED", "OK"])
        assert "the device is not subscribed" in [step["note"] for step in one["history"]]


async def test_deadline_of_a_command_and_of_its_definition(site: Site) -> None:
    """The application's `expiresAt` counts, then `expiresAfter` of the definition, then the setting (ten minutes)."""
    commands: list[dict[str, Any]] = [{"name": "ring", "expiresAfter": 0.5}, {"name": "move"}, {"name": "stop"}]
    entity = await provision(site, "bell-hurry", transport="HTTP", commands=commands)
    await command(site, entity, "ring", "now or never")
    await command(site, entity, "stop", "some time")
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {"type": "Property", "value": "until then", "expiresAt": soon}
    assert (await site.api("PATCH", f"entities/{entity}/attrs/move", body, NGSILD_Tenant=TENANT))[0] == 204
    await site.arrived(entity, ring_status="EXPIRED", move_status="EXPIRED", stop_status="PENDING")
    told = {each["command"]: each for each in await listed(site, device="bell-hurry")}
    assert told["move"]["deadline"] == soon
    assert (lasting_s(told["ring"]), lasting_s(told["stop"])) == (0.5, 600)
    url = f"{site.south}/iot/json?i=bell-hurry&k={JSON_KEY}&getCmd=1"
    assert (await site.request("GET", url))[:2] == (200, {"stop": "some time"})
    refused = {"commands": [{"name": "ring", "expiresAfter": 0}]}
    assert (await site.provision("PUT", "/iot/devices/bell-hurry", refused))[0] == 400


def lasting_s(told: dict[str, Any]) -> float:
    """From the writing of a command to its deadline."""
    return (datetime.fromisoformat(told["deadline"]) - datetime.fromisoformat(told["issuedAt"])).total_seconds()


def heard(device: MqttDevice, payloads: list[str]) -> bool:
    """Whether the device has been told just these."""
    return device.heard == payloads


def counted(site: Site, wanted: dict[str, float]) -> bool:
    """Whether so many of these events of commands were counted."""
    samples = next(iter(site.agent.metrics.commands.collect())).samples
    known = {sample.labels["event"]: sample.value for sample in samples if sample.name.endswith("_total")}
    return all(known.get(event, 0.0) == count for event, count in wanted.items())


async def test_results_of_no_command(site: Site) -> None:
    entity = await provision(site, "bell-unasked")
    await site.publish(f"/json/{JSON_KEY}/bell-unasked/cmdexe", '{"ring": "by hand"}')
    await site.arrived(entity, ring_status="OK", ring_info="by hand")
    (one,) = await listed(site, device="bell-unasked")
    assert one["history"][0]["note"] == "a result nobody has asked for"
    url = f"{site.south}/iot/json/commands?i=bell-unasked&k={JSON_KEY}"
    status, answer, _ = await site.request("POST", url, {"dance": "ok"})
    assert (status, answer["name"]) == (400, "COMMAND_NOT_FOUND")
    status, answer, _ = await site.request("POST", url, {"dance": "ok", "move": "moved"})
    assert (status, answer["name"]) == (400, "COMMAND_NOT_FOUND")  # and what it does have is not lost by that
    assert (await site.request("POST", url, [{"ring": "first"}, {"ring": "last"}]))[:2] == (200, {})
    await site.arrived(entity, move_info="moved", ring_info="last")


async def test_notified_twice(site: Site) -> None:
    entity = await provision(site, "bell-redelivered", transport="HTTP")
    instance: dict[str, Any] = {"type": "Property", "value": "x", "createdAt": "2026-01-01T00:00:00.000Z"}
    instance |= {"modifiedAt": "2099-01-02T00:00:00.123Z", "previousValue": {"type": "command"}}
    body = {
        "id": "urn:ngsi-ld:Notification:1",
        "type": "Notification",
        "subscriptionId": "urn:ngsi-ld:Subscription:1",
        "notifiedAt": "2026-01-02T00:00:00.200Z",
        "data": [
            {"id": entity, "type": "Bell", "ring": instance},
            {"id": "urn:x:else", "type": "Bell", "ring": instance},
        ],
    }
    for again in (body, {**body, "id": "urn:ngsi-ld:Notification:2", "notifiedAt": "2026-01-02T00:00:09Z"}):
        assert (await site.request("POST", f"{site.north}/notify?tenant=openiot", again))[0] == 204
    assert [each["value"] for each in await listed(site, entity=entity)] == ["x"]
    assert (await site.request("POST", f"{site.north}/notify", {"data": 7}))[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/attrs/ring", {"type": "Property", "value": " "}),
        ("PUT", "/attrs/ring", {"type": "Property", "value": " "}),
        ("PATCH", "/attrs", {"ring": {"type": "Property", "value": " "}}),
        ("PATCH", "", {"ring": {"type": "Property", "value": " "}}),
    ],
)
async def test_asked_of_the_agent_itself(
    site: Site, free_port: Callable[[], int], method: str, path: str, body: dict[str, Any]
) -> None:
    """As the tutorials try a command out; by its address the agent is a context source."""
    device = f"bell-direct-{method.lower()}{path.count('/')}"
    async with http_device(free_port()) as bell:
        bell.answer = b'{"ring": "rung"}'
        entity = await provision(site, device, transport="HTTP", endpoint=bell.url)
        url = f"{site.north}/ngsi-ld/v1/entities/{entity}{path}"
        tutorial = {"fiware_service": "openiot", "fiware_servicepath": "/"}
        assert (await site.request(method, url, body, **tutorial))[:2] == (204, "")
        await site.arrived(entity, ring_status="OK", ring_info="rung")
    assert [told.body for told in bell.told] == [b'{"ring":" "}']
    nobody = url.replace("Bell", "Nobody")
    status, answer, _ = await site.request(method, nobody, body, NGSILD_Tenant="openiot")
    assert (status, answer["name"]) == (404, "DEVICE_NOT_FOUND")


async def test_group_outweighs_the_protocol_of_its_device(site: Site, free_port: Callable[[], int]) -> None:
    """In tutorials for JSON, devices are labelled UltraLight: to the agents the label means nothing."""
    async with http_device(free_port()) as bell:
        members = {"apikey": JSON_KEY, "transport": "HTTP", "endpoint": bell.url}
        entity = await provision(site, "bell-label", "PDI-IoTA-UltraLight", **members)
        await command(site, entity, "ring", " ")
        await until(lambda: [told.body for told in bell.told] == [b'{"ring":" "}'])
    url = f"{site.south}/iot/json?i=bell-label&k={JSON_KEY}"
    assert (await site.request("POST", url, {"t": 3}))[0] == 200
    await site.arrived(entity, t=3)


async def test_subscription_follows_what_is_provisioned(site: Site) -> None:
    async def watched() -> list[list[str]]:
        _, _, subscriptions = await site.api("GET", "subscriptions?limit=100", NGSILD_Tenant=TENANT)
        return [each["watchedAttributes"] for each in subscriptions if each["entities"][0]["type"] == "Gate"]

    members: dict[str, Any] = {"entity_type": "Gate", "commands": [{"name": "open"}]}
    await provision(site, "gate1", **members, entity_name="urn:ngsi-ld:Gate:1")
    await provision(site, "gate2", **members, entity_name="urn:ngsi-ld:Gate:2")
    assert await watched() == [["open"]], "one for the type, not one for each device"
    await site.provision("PUT", "/iot/devices/gate2", {"commands": [{"name": "open"}, {"name": "lock"}]})
    assert await watched() == [["lock", "open"]]
    await site.provision("DELETE", "/iot/devices/gate2")
    assert await watched() == [["open"]]
    await site.provision("DELETE", "/iot/devices/gate1")
    assert await watched() == []


WRITES: list[tuple[str, str, Any]] = [
    ("PATCH", "entities/{id}/attrs/ring", {"type": "Property", "value": "x"}),
    ("PUT", "entities/{id}/attrs/ring", {"type": "Property", "value": "x"}),
    ("PATCH", "entities/{id}/attrs", {"ring": {"type": "Property", "value": "x"}}),
    ("POST", "entities/{id}/attrs", {"ring": {"type": "Property", "value": "x"}}),
    ("PATCH", "entities/{id}", {"ring": {"type": "Property", "value": "x"}}),
    ("POST", "entityOperations/update", [{"id": "{id}", "type": "Bell", "ring": {"type": "Property", "value": "x"}}]),
    ("POST", "entityOperations/upsert?options=update", [{"id": "{id}", "type": "Bell", "ring": {"value": "x"}}]),
    ("POST", "entityOperations/merge", [{"id": "{id}", "type": "Bell", "ring": {"value": "x"}}]),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_whichever_way_it_is_written(site: Site, method: str, path: str, body: Any) -> None:
    device = f"bell-write-{WRITES.index((method, path, body))}"
    entity = await provision(site, device, transport="HTTP")
    written = json.loads(json.dumps(body).replace("{id}", entity))
    status, _, answer = await site.api(method, path.replace("{id}", entity), written, NGSILD_Tenant=TENANT)
    assert status in (201, 204), answer
    await until_listed(site, device, 1)
    await site.arrived(entity, ring_status="PENDING")
    (one,) = await listed(site, device=device)
    assert (one["command"], one["value"]) == ("ring", "x")
    found = await site.entity(entity)
    assert found is not None
    assert found["ring"]["value"] == {"type": "command", "id": one["id"]}


async def test_one_request_for_many_devices(site: Site) -> None:
    entities = [await provision(site, f"bell-many-{number}", transport="HTTP") for number in range(5)]
    ring, move = {"type": "Property", "value": 1}, {"type": "Property", "value": 2}
    body = [{"id": entity, "type": "Bell", "ring": ring, "move": move} for entity in entities]
    assert (await site.api("POST", "entityOperations/update", body, NGSILD_Tenant=TENANT))[0] == 204
    for number in range(5):
        await until_listed(site, f"bell-many-{number}", 2)


async def test_device_with_a_session_that_is_away(site: Site) -> None:
    """Its MQTT broker keeps the command; the agent knows that it does."""
    entity = await provision(site, "bell-away")
    topic = f"/{JSON_KEY}/bell-away/cmd"
    async with mqtt_device(site.mqtt_url, topic, "bell-away", clean=False):
        pass
    await command(site, entity, "ring", "later")
    await site.arrived(entity, ring_status="DELIVERED")
    async with mqtt_device(site.mqtt_url, topic, "bell-away", clean=False) as bell:
        await until(lambda: bell.heard == ['{"ring":"later"}'])


async def test_restart_of_the_agent(mongo: str, site: Site, free_port: Callable[[], int]) -> None:
    """What it has taken, and what is written while it is down, reaches a device that comes back after it."""
    port = free_port()
    changes = {"database": "commandrestart", "mqtt_client_id": "commands-restart", "agent_port": port}
    device = {"device_id": "gong", "apikey": "gongs", "entity_name": "urn:ngsi-ld:Gong:1", "entity_type": "Gong"}
    device |= {"protocol": "IoTA-JSON"}
    async with running_site(mongo, site.mqtt_url, site.api, **changes) as first:
        body = {"devices": [{**device, "commands": [{"name": "strike", "type": "command"}]}]}
        assert (await first.provision("POST", "/iot/devices", body))[0] == 201
        await command(first, "urn:ngsi-ld:Gong:1", "strike", "once")
        await first.arrived("urn:ngsi-ld:Gong:1", strike_status="PENDING")
    await command(site, "urn:ngsi-ld:Gong:1", "strike", "twice")
    async with running_site(mongo, site.mqtt_url, site.api, **changes) as again:
        await until_listed(again, "gong", 2)
        async with mqtt_device(site.mqtt_url, "/gongs/gong/cmd") as gong:
            gong.answer = lambda payload: ("/json/gongs/gong/cmdexe", payload.replace('ce"', 'ce done"'))
            await until(lambda: gong.heard == ['{"strike":"once"}', '{"strike":"twice"}'])
            await again.arrived("urn:ngsi-ld:Gong:1", strike_status="OK", strike_info="twice done")
        assert [each["info"] for each in await listed(again, device="gong")] == ["once done", "twice done"]


async def test_a_second_agent_takes_what_the_first_sends(mongo: str, site: Site) -> None:
    """Notifications and results may go to any agent; the one that leads sends, in order."""
    async with running_site(mongo, site.mqtt_url, site.api, mqtt_client_id="commands-second", agent_slots=1) as other:
        entity = await provision(site, "bell-second")
        async with mqtt_device(site.mqtt_url, f"/{JSON_KEY}/bell-second/cmd") as bell:
            for number in range(6):
                instance: dict[str, Any] = {"type": "Property", "value": number, "modifiedAt": recently(number)}
                instance |= {"previousValue": {"type": "command"}}
                at = (site, other)[number % 2].north
                told = {"id": f"urn:x:{number}", "data": [{"id": entity, "type": "Bell", "move": instance}]}
                assert (await site.request("POST", f"{at}/notify?tenant=openiot", told))[0] == 204
            await until(lambda: len(bell.heard) >= 6, within_s=10)
            assert bell.heard == [f'{{"move":{number}}}' for number in range(6)]


def recently(number: int) -> str:
    """A time that is just over."""
    return (datetime.now(UTC) + timedelta(milliseconds=number)).isoformat(timespec="milliseconds")
