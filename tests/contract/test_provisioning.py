"""The provisioning API: bodies, codes and errors as the FIWARE agents answer them."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agents.payloads import JSON
from tests.broker.api.conftest import Api
from tests.contract.conftest import Site, running_site
from tests.contract.mqtt_device import mqtt_device
from tests.waiting import until


def group(apikey: str, **members: Any) -> dict[str, Any]:
    return {"resource": "/iot/json", "apikey": apikey, "entity_type": "Room", **members}


async def test_life_of_a_group(site: Site) -> None:
    query = "?resource=/iot/json&apikey=life"
    assert await site.provision("POST", "/iot/groups", {"groups": [group("life", trust="x")]}) == (201, {})
    status, answer = await site.provision("GET", "/iot/groups" + query)
    assert (status, answer["count"]) == (200, 1)
    (shown,) = answer["groups"]
    assert shown == {
        **group("life", trust="x"),
        "service": "openiot",
        "subservice": "/",
        **{name: [] for name in ("attributes", "lazy", "commands", "static_attributes", "internal_attributes")},
    }
    assert await site.provision("PUT", "/iot/groups" + query, {"entity_type": "Hall", "explicitAttrs": True}) == (
        204,
        "",
    )
    _, answer = await site.provision("GET", "/iot/services" + query)
    assert (answer["services"][0]["entity_type"], answer["services"][0]["trust"]) == ("Hall", "x")
    assert await site.provision("DELETE", "/iot/services/" + query) == (204, "")
    assert await site.provision("GET", "/iot/groups" + query) == (200, {"count": 0, "groups": []})


async def test_groups_of_a_path_and_of_every_path(site: Site) -> None:
    for path in ("/a", "/b"):
        body = {"groups": [group(f"paths{path}")]}
        assert (await site.provision("POST", "/iot/groups", body, "pathways", path))[0] == 201
    for path, count in (("/a", 1), ("/b", 1), ("/c", 0), ("/*", 2)):
        assert (await site.provision("GET", "/iot/groups", None, "PathWays", path))[1]["count"] == count


async def test_refusals_of_groups(site: Site) -> None:
    await site.provision("POST", "/iot/groups", {"groups": [group("taken")]})

    async def refused(method: str, path: str, body: Any = None, service: str = "openiot") -> tuple[int, str]:
        status, answer = await site.provision(method, path, body, service)
        assert set(answer) == {"name", "message"}
        return status, answer["name"]

    assert await refused("POST", "/iot/groups", {"groups": [group("taken")]}) == (409, "DUPLICATE_GROUP")
    assert await refused("POST", "/iot/groups", {"services": [group("x")]}) == (400, "WRONG_SYNTAX")
    assert await refused("POST", "/iot/groups", {"groups": [{"resource": ""}]}) == (400, "WRONG_SYNTAX")
    assert await refused("POST", "/iot/groups", {"groups": [group("x", entity_type=None)]}) == (
        400,
        "MISSING_CONFIG_PARAMS",
    )
    assert await refused("POST", "/iot/groups", {"groups": [group("x", entityNameExp="1 +")]}) == (
        400,
        "INVALID_EXPRESSION",
    )
    assert await refused("POST", "/iot/groups", {"groups": [group("x", timezone="Settat")]}) == (400, "WRONG_SYNTAX")
    query = "?resource=/iot/json&apikey="
    assert await refused("PUT", f"/iot/groups{query}nobody", {}) == (404, "DEVICE_GROUP_NOT_FOUND")
    assert await refused("DELETE", f"/iot/groups{query}nobody") == (404, "DEVICE_GROUP_NOT_FOUND")
    assert await refused("DELETE", f"/iot/groups{query}taken", service="other") == (403, "MISMATCHED_SERVICE")
    assert await refused("DELETE", "/iot/groups?apikey=taken") == (400, "MISSING_HEADERS")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"attributes": [{"object_id": "x", "name": "my name"}]}, "no attribute can be called 'my name'"),
        ({"attributes": [{"type": "Number"}]}, "no attribute can be called ''"),
        ({"attributes": [{"object_id": "x", "entity_type": "a<b"}]}, "no type can be called 'a<b'"),
        ({"attributes": {"x": 1}}, "attributes: Input should be an array"),
        ({"static_attributes": [{"name": "lang", "value": "fr"}]}, "'lang' is a term of NGSI-LD itself"),
        ({"commands": [{"name": "open=1"}]}, "no command can be called 'open=1'"),
        ({"commands": ["open"]}, "commands.0: Input should be an object"),
        ({"entity_type": "Meeting Room"}, "no type can be called 'Meeting Room'"),
    ],
)
async def test_names_that_no_broker_takes_are_told_at_once(site: Site, members: dict[str, Any], told: str) -> None:
    status, answer = await site.provision("POST", "/iot/groups", {"groups": [group("misnamed", **members)]})
    assert (status, answer["name"]) == (400, "WRONG_SYNTAX")
    assert told in answer["message"]


async def test_missing_headers(site: Site) -> None:
    for method, path in (("GET", "/iot/devices"), ("POST", "/iot/groups"), ("GET", "/iot/devices/x")):
        status, answer, _ = await site.request(method, site.north + path, fiware_service="openiot")
        assert status == 400
        assert answer == {
            "name": "MISSING_HEADERS",
            "message": 'Some headers were missing from the request: ["fiware-servicepath"]',
        }


async def test_life_of_a_device(site: Site) -> None:
    device = {
        "device_id": "d1",
        "apikey": "lives",
        "entity_type": "Lamp",
        "attributes": [{"object_id": "l", "name": "lux"}],
    }
    assert await site.provision(
        "POST", "/iot/devices", {"devices": [device, {**device, "device_id": "d2"}]}, "lives"
    ) == (201, {})
    status, shown = await site.provision("GET", "/iot/devices/d1?apikey=lives", None, "lives")
    assert status == 200
    assert shown == {
        **device,
        "service": "lives",
        "service_path": "/",
        "entity_name": "urn:ngsi-ld:Lamp:d1",
        **{name: [] for name in ("lazy", "commands", "static_attributes", "internal_attributes")},
    }
    _, listed = await site.provision("GET", "/iot/devices?limit=1&offset=1", None, "lives")
    assert (listed["count"], [item["device_id"] for item in listed["devices"]]) == (2, ["d2"])
    assert (await site.provision("PUT", "/iot/devices/d1", {"entity_name": "urn:ngsi-ld:Lamp:x"}, "lives"))[0] == 204
    assert (await site.provision("GET", "/iot/devices/d1", None, "lives"))[1]["entity_name"] == "urn:ngsi-ld:Lamp:x"
    await site.publish("/json/lives/d1/attrs", '{"l": 7}')
    await site.arrived("urn:ngsi-ld:Lamp:x", tenant="lives", lux=7)
    assert await site.provision("DELETE", "/iot/devices/d1", None, "lives") == (204, "")
    assert (await site.provision("GET", "/iot/devices/d1", None, "lives"))[1]["name"] == "DEVICE_NOT_FOUND"


async def test_refusals_of_devices(site: Site) -> None:
    device = {"device_id": "only", "apikey": "refused", "entity_type": "Lamp"}
    await site.provision("POST", "/iot/devices", {"devices": [device]})

    async def refused(method: str, path: str, body: Any = None) -> tuple[int, str]:
        status, answer = await site.provision(method, path, body)
        assert set(answer) == {"name", "message"}
        return status, answer["name"]

    assert await refused("POST", "/iot/devices", {"devices": [device]}) == (409, "DUPLICATE_DEVICE_ID")
    assert await refused("POST", "/iot/devices", {"devices": [{"entity_type": "Lamp"}]}) == (400, "MISSING_ATTRIBUTES")
    assert await refused("POST", "/iot/devices", {"devices": {}}) == (400, "WRONG_SYNTAX")
    unknown = {**device, "device_id": "x", "attributes": [{"name": "a", "typo": 1}]}
    assert await refused("POST", "/iot/devices", {"devices": [unknown]}) == (400, "WRONG_SYNTAX")
    assert await refused("PUT", "/iot/devices/only", {"device_id": "else"}) == (400, "BAD_REQUEST")
    assert await refused("PUT", "/iot/devices/nobody", {}) == (404, "DEVICE_NOT_FOUND")
    assert await refused("DELETE", "/iot/devices/nobody") == (404, "DEVICE_NOT_FOUND")
    assert await refused("GET", "/iot/devices?limit=many") == (400, "WRONG_SYNTAX")


async def test_deletion_of_several_devices(site: Site) -> None:
    devices = [{"device_id": name, "apikey": "many", "entity_type": "Lamp"} for name in ("m1", "m2", "m3")]
    await site.provision("POST", "/iot/devices", {"devices": devices}, "many")
    named = [{"deviceId": name, "apikey": "many"} for name in ("m1", "none", "m2")]
    status, answer = await site.provision("POST", "/iot/op/delete", {"devices": named}, "many")
    assert (status, answer["name"]) == (404, "DEVICE_NOT_FOUND")
    assert (await site.provision("GET", "/iot/devices", None, "many"))[1]["count"] == 1
    assert await site.provision("POST", "/iot/op/delete", {"devices": [{"deviceId": "m3"}]}, "many") == (204, "")


async def test_about(site: Site) -> None:
    for path in ("/iot/about", "/version"):
        status, about, _ = await site.request("GET", site.north + path)
        assert status == 200
        assert about["libVersion"]
        assert about["port"] == str(site.agent.port)


async def test_nothing_there(site: Site) -> None:
    status, answer, _ = await site.request("GET", f"{site.north}/iot/nothing")
    assert (status, answer) == (404, {"name": "ROUTE_NOT_FOUND", "message": "Not Found: GET /iot/nothing"})
    status, answer, headers = await site.request("DELETE", f"{site.north}/iot/about")
    assert (status, answer["name"], headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "GET")


async def test_level_of_the_log(site: Site) -> None:
    url = f"{site.north}/admin/log"
    assert (await site.request("GET", url))[:2] == (200, {"level": "INFO"})
    assert (await site.request("PUT", f"{url}?level=warning"))[:2] == (200, "")
    assert (await site.request("GET", url))[1] == {"level": "WARN"}
    assert (await site.request("PUT", f"{url}?level=loud"))[:2] == (400, {"error": "invalid log level"})
    assert (await site.request("PUT", url))[:2] == (400, {"error": "log level missing"})
    assert (await site.request("PUT", f"{url}?level=INFO"))[0] == 200


async def test_metrics_in_both_formats(site: Site) -> None:
    _, text, headers = await site.request("GET", f"{site.north}/metrics")
    assert headers["content-type"].startswith("text/plain; version=")
    assert "medina_agent_entities_total" in text
    accepted = "application/openmetrics-text; version=1.0.0"
    _, text, headers = await site.request("GET", f"{site.north}/metrics", Accept=accepted)
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("protocol", ["IoTA-JSON", "IoTA-UL"])
async def test_default_apikey(site: Site, notifier: None, protocol: str) -> None:
    """A device without an apikey, in a service without groups, has that of the agent."""
    kind, payload = ("json", '{"l": 7}') if protocol == "IoTA-JSON" else ("ul", "l|7")
    name = f"keyless-{kind}"
    device: dict[str, Any] = {"device_id": name, "entity_type": "Lamp", "protocol": protocol}
    device["entity_name"] = f"urn:ngsi-ld:Lamp:{name}"
    device |= {"attributes": [{"object_id": "l", "name": "lux"}], "commands": [{"name": "on"}], "transport": "MQTT"}
    assert (await site.provision("POST", "/iot/devices", {"devices": [device]}, "lonely")) == (201, {})
    await site.publish(f"/{kind}/1234/{name}/attrs", payload)
    await site.arrived(f"urn:ngsi-ld:Lamp:{name}", tenant="lonely", lux=7)
    async with mqtt_device(site.mqtt_url, f"/1234/{name}/cmd") as lamp:
        body = {"type": "Property", "value": "yes"}
        path = f"entities/urn:ngsi-ld:Lamp:{name}/attrs/on"
        assert (await site.api("PATCH", path, body, NGSILD_Tenant="lonely"))[0] == 204
        await until(lambda: lamp.heard == ['{"on":"yes"}' if kind == "json" else f"{name}@on|yes"])
        await site.publish(f"/{kind}/1234/{name}/cmdexe", '{"on": "ok"}' if kind == "json" else f"{name}@on|ok")
        await site.arrived(f"urn:ngsi-ld:Lamp:{name}", tenant="lonely", on_status="OK", on_info="ok")


async def test_route_of_its_own(site: Site) -> None:
    """`resource` is more than a name here."""
    body = {"groups": [group("garden", resource="/garden/json", protocol="JSON", entity_type="Pump")]}
    assert (await site.provision("POST", "/iot/groups", body))[0] == 201
    assert (await site.request("POST", f"{site.south}/garden/json?i=p1&k=garden", {"flow": 1}))[0] == 200
    await site.arrived("urn:ngsi-ld:Pump:p1", flow=1)
    url = f"{site.south}/garden/json/attrs/flow?i=p1&k=garden"
    assert (await site.request("POST", url, data="2", Content_Type="text/plain"))[0] == 200
    await site.arrived("urn:ngsi-ld:Pump:p1", flow="2")
    await site.publish("/json/garden/p1/attrs", '{"flow": 3}')
    await site.arrived("urn:ngsi-ld:Pump:p1", flow=3)
    status, answer, _ = await site.request("POST", f"{site.south}/garden/json?i=p1&k=else", {"flow": 1})
    assert (status, answer["name"]) == (404, "DEVICE_GROUP_NOT_FOUND")


async def test_who_may_join(site: Site, mongo: str) -> None:
    groups = [
        group("closed", autoprovision=False),
        group("picky", allow=["pump-*", "tank-?"]),
    ]
    await site.provision("POST", "/iot/groups", {"groups": groups})

    async def status(at: Site, apikey: str, device: str) -> int:
        return (await at.request("POST", f"{at.south}/iot/json?i={device}&k={apikey}", {"a": 1}))[0]

    assert await status(site, "closed", "pump-1") == 404
    assert [await status(site, "picky", name) for name in ("pump-1", "tank-7", "tank-77", "x")] == [200, 200, 404, 404]
    async with running_site(mongo, site.mqtt_url, site.api, autoprovision=False) as strict:
        assert await status(strict, "picky", "pump-2") == 404
        assert await status(strict, "picky", "pump-1") == 200


async def test_devices_that_joined_go_with_their_group(site: Site) -> None:
    await site.provision("POST", "/iot/groups", {"groups": [group("gone")]}, "gone")
    url = f"{site.south}/iot/json?i=g1&k=gone"
    assert (await site.request("POST", url, {"a": 1}))[0] == 200
    _, shown = await site.provision("GET", "/iot/devices/g1", None, "gone")
    assert shown["autoprovisioned"] is True
    await site.provision("DELETE", "/iot/groups?resource=/iot/json&apikey=gone", None, "gone")
    status, answer, _ = await site.request("POST", url, {"a": 1})
    assert (status, answer["name"]) == (404, "DEVICE_GROUP_NOT_FOUND")


async def test_group_with_its_devices(site: Site) -> None:
    await site.provision("POST", "/iot/groups", {"groups": [group("both")]}, "both")
    await site.provision("POST", "/iot/devices", {"devices": [{"device_id": "b1", "apikey": "both"}]}, "both")
    query = "?resource=/iot/json&apikey=both&device=true"
    assert (await site.provision("DELETE", "/iot/groups" + query, None, "both"))[0] == 204
    assert (await site.provision("GET", "/iot/devices", None, "both"))[1]["count"] == 0


async def test_changed_group_counts_from_then_on(site: Site) -> None:
    body = group("changing", attributes=[{"object_id": "t", "name": "temperature"}])
    await site.provision("POST", "/iot/groups", {"groups": [body]})
    url = f"{site.south}/iot/json?i=c1&k=changing"
    await site.request("POST", url, {"t": 1})
    await site.provision(
        "PUT", "/iot/groups?resource=/iot/json&apikey=changing", {"attributes": [{"object_id": "t", "name": "heat"}]}
    )
    await site.request("POST", url, {"t": 2})
    found = await site.entity("urn:ngsi-ld:Room:c1")
    assert found is not None
    assert (found["temperature"]["value"], found["heat"]["value"]) == (1, 2)


async def test_services_are_tenants(mongo: str, mqtt_url: str, context_api: Api) -> None:
    changes = {
        "database": "tenancy",
        "service": "Home",
        "agent_context": "https://medina.example/campus/context.jsonld",
    }
    async with running_site(mongo, mqtt_url, context_api, **changes) as site:
        for service in ("home", "Abroad"):
            body = {
                "groups": [
                    group(f"of{service}", jsonLdContext="https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld")
                ]
            }
            assert (await site.provision("POST", "/iot/groups", body, service))[0] == 201
            url = f"{site.south}/iot/json?i=t1&k=of{service}"
            assert (await site.request("POST", url, {"at": service}))[0] == 200
        await site.arrived("urn:ngsi-ld:Room:t1", tenant="", at="home")
        await site.arrived("urn:ngsi-ld:Room:t1", tenant="abroad", at="Abroad")


async def test_agent_without_mongodb_says_so(mqtt_url: str, context_api: Api, tmp_path: Path) -> None:
    lines = ['context = "https://medina.example/campus/context.jsonld"', "[[group]]", 'apikey = "open"']
    file = tmp_path / "devices.toml"
    file.write_text("\n".join([*lines, "autoprovision = true", 'entity_type = "Pump"']), encoding="utf-8")
    async with running_site("", mqtt_url, context_api, devices=str(file)) as site:
        status, answer = await site.provision("GET", "/iot/devices")
        assert (status, answer["name"]) == (503, "REGISTRY_NOT_AVAILABLE")
        assert (await site.request("POST", f"{site.south}/iot/json?i=f1&k=open", {"flow": 1}))[0] == 200
        assert await site.entity("urn:ngsi-ld:Pump:f1", tenant="") is not None


async def test_registry_survives_a_restart_and_waiting_messages_find_their_device(
    mongo: str, mqtt_url: str, context_api: Api
) -> None:
    name = {"mqtt_client_id": "contract-restart", "database": "restart"}
    device = {"device_id": "r1", "apikey": "restart", "entity_type": "Lamp", "protocol": "IoTA-JSON"}
    async with running_site(mongo, mqtt_url, context_api, **name) as site:
        await site.provision("POST", "/iot/devices", {"devices": [device]}, "restart")
    await site.publish("/json/restart/r1/attrs", '{"on": true}')
    async with running_site(mongo, mqtt_url, context_api, **name) as again:
        await again.arrived("urn:ngsi-ld:Lamp:r1", tenant="restart", on=True)


async def test_group_in_a_device_file_is_not_provisioned_again(mongo: str, mqtt_url: str, context_api: Api) -> None:
    files = "tests/corpus/open-devices.toml"
    async with running_site(mongo, mqtt_url, context_api, devices=files, database="files") as site:
        status, answer = await site.provision("POST", "/iot/groups", {"groups": [group("open")]})
        assert (status, answer["name"]) == (409, "DUPLICATE_GROUP")


async def test_waiting_device_is_entered_with_its_group(site: Site) -> None:
    """A device without an apikey is one of each group of its service and path."""
    await site.provision("POST", "/iot/groups", {"groups": [group("keyless")]}, "keyless")
    device = {"device_id": "k1", "entity_name": "urn:ngsi-ld:Room:named", "entity_type": "Room"}
    await site.provision("POST", "/iot/devices", {"devices": [device]}, "keyless")
    await site.publish("/json/keyless/k1/attrs", '{"a": 1}')
    await site.arrived("urn:ngsi-ld:Room:named", tenant="keyless", a=1)

    async def count() -> bool:
        return bool((await site.provision("GET", "/iot/devices", None, "keyless"))[1]["count"] == 1)

    await until(count)


async def test_device_named_elsewhere_does_not_join(site: Site, mongo: str) -> None:
    """It was provisioned with another agent a moment ago: its group must not take it for a new one."""
    assert (await site.provision("POST", "/iot/groups", {"groups": [group("moment")]}))[0] == 201
    names = [f"m{number}" for number in range(6)]
    async with running_site(mongo, site.mqtt_url, site.api, mqtt_client_id="contract-moment") as other:
        for name in names:
            device = {"device_id": name, "apikey": "moment", "entity_name": f"urn:ngsi-ld:Named:{name}"}
            assert (await other.provision("POST", "/iot/devices", {"devices": [device]}))[0] == 201
            url = f"{site.south}/iot/json?i={name}&k=moment"
            if name == "m0":
                await site.publish(f"/json/moment/{name}/attrs", '{"a": 1}')
            elif name == "m1":
                assert (await site.request("GET", url + "&getCmd=1"))[:2] == (200, {})
                assert (await site.request("POST", url, {"a": 1}))[0] == 200
            else:
                assert (await site.request("POST", url, {"a": 1}))[0] == 200
            await site.arrived(f"urn:ngsi-ld:Named:{name}", a=1)
    assert [await site.entity(f"urn:ngsi-ld:Room:{name}") for name in names] == [None] * len(names)


MEMBERS = ["device_id", "apikey", "resource", "entity_type", "attributes", "static_attributes", "commands", "lazy"]
MEMBERS += [
    "explicitAttrs",
    "entityNameExp",
    "payloadType",
    "timezone",
    "timestamp",
    "protocol",
    "allow",
    "jsonLdContext",
]
ATTRIBUTES = st.lists(st.dictionaries(st.sampled_from(["name", "object_id", "type", "expression", "metadata"]), JSON))
BODIES = st.dictionaries(st.sampled_from(MEMBERS), JSON | ATTRIBUTES)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | JSON, path=st.sampled_from(["groups", "devices"]))
async def test_any_body_is_taken_or_refused(site: Site, body: Any, path: str) -> None:
    status, answer = await site.provision("POST", f"/iot/{path}", {path: [body]}, "fuzz")
    assert status in (201, 400, 409), answer


@pytest.fixture(scope="module")
async def open_to_all(site: Site) -> None:
    await site.provision("POST", "/iot/groups", {"groups": [group("fuzzed", resource="")]})


PATHS = [
    "/iot/json",
    "/iot/d",
    "/iot/json/attrs/a",
    "/iot/json/commands",
    "/iot/json/configuration",
    "/else",
    "/iot/json/attrs/",
]
TYPES = [
    "application/json",
    "text/plain",
    "application/octet-stream",
    "application/soap+xml",
    "",
    "text/plain; charset=x",
]
QUERIES = st.dictionaries(
    st.sampled_from(["i", "k", "t", "d", "getCmd"]), st.sampled_from(["fuzzed", "1", ""]) | st.text(max_size=9)
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST"]),
    path=st.sampled_from(PATHS),
    query=QUERIES,
    content_type=st.sampled_from(TYPES),
    body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
)
async def test_any_request_of_a_device_is_answered(
    site: Site, open_to_all: None, method: str, path: str, query: dict[str, str], content_type: str, body: bytes
) -> None:
    text = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    headers = {"Content_Type": content_type} if content_type else {}
    sent = body if method == "POST" else None
    status, answer, _ = await site.request(method, f"{site.south}{path}?{text}", data=sent, **headers)
    assert status in (200, 400, 404), answer
    assert status == 200 or set(answer) == {"name", "message"}


async def test_the_documentation_page_has_all_that_is_needed_to_try(site: Site) -> None:
    """Each operation as the page fills it in: headers, parameters and bodies of its examples."""
    _, document, _ = await site.request("GET", site.north + "/openapi.json")
    steps = [
        ("post", "/iot/services", 201),
        ("put", "/iot/groups", 204),
        ("post", "/iot/devices", 201),
        ("get", "/iot/devices", 200),
        ("put", "/iot/devices/lamp-1", 204),
        ("post", "/iot/op/delete", 204),
        ("delete", "/iot/groups", 204),
    ]
    for method, path, expected in steps:
        page = document["paths"][path.replace("lamp-1", "{device_id}")][method]
        examples = [(p["in"], p["name"], p["schema"].get("example")) for p in page["parameters"]]
        headers = {name: example for place, name, example in examples if place == "header"}
        query = "&".join(f"{name}={example}" for place, name, example in examples if place == "query" and example)
        body = page.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        status, answer, _ = await site.request(method, f"{site.north}{path}?{query}", body, **headers)
        assert (method, path, status, answer) == (method, path, expected, answer)
