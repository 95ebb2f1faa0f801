"""The FIWARE tutorials' way: provision a group and devices, send measures on every road, read the entities."""

import json
from typing import Any

import pytest

from tests.contract.conftest import Site, running_site
from tests.waiting import until

JSON_KEY, UL_KEY = "4jggokgpepnvsb2uv4s40d59ov", "4jggokgpepnvsb2uv4s40d59ul"


@pytest.fixture(scope="module", autouse=True)
async def provisioned(site: Site) -> None:
    groups = [
        {
            "apikey": JSON_KEY,
            "cbHost": "http://orion:1026",
            "entity_type": "Thing",
            "resource": "/iot/json",
            "attributes": [{"object_id": "h", "name": "humidity", "type": "Number"}],
        },
        {"apikey": UL_KEY, "cbHost": "http://orion:1026", "entity_type": "Thing", "resource": "/iot/d"},
    ]
    assert await site.provision("POST", "/iot/groups", {"groups": groups[:1]}) == (201, {})
    assert await site.provision("POST", "/iot/services", {"services": groups[1:]}) == (201, {})
    devices = [
        {
            "device_id": f"motion{kind}",
            "entity_name": f"urn:ngsi-ld:Motion:{kind}",
            "entity_type": "Motion",
            "protocol": protocol,
            "timezone": "Europe/Berlin",
            "attributes": [
                {"object_id": "c", "name": "count", "type": "Integer"},
                {
                    "object_id": "t",
                    "name": "temperature",
                    "type": "Number",
                    "metadata": {"unitCode": {"type": "Text", "value": "CEL"}},
                },
            ],
            "static_attributes": [{"name": "refStore", "type": "Relationship", "value": "urn:ngsi-ld:Store:001"}],
        }
        for kind, protocol in (("json", "PDI-IoTA-JSON"), ("ul", "PDI-IoTA-UltraLight"))
    ]
    assert await site.provision("POST", "/iot/devices", {"devices": devices}) == (201, {})


TOPICS = [
    "/{protocol}/{key}/{device}/attrs",
    "{protocol}/{key}/{device}/attrs",
    "/{key}/{device}/attrs",
    "{key}/{device}/attrs",
]


def told(protocol: str, values: dict[str, Any]) -> str:
    return json.dumps(values) if protocol == "json" else "|".join(f"{name}|{value}" for name, value in values.items())


@pytest.mark.parametrize("protocol", ["json", "ul"])
@pytest.mark.parametrize("form", TOPICS)
async def test_measures_on_every_form_of_topic(site: Site, protocol: str, form: str) -> None:
    key = JSON_KEY if protocol == "json" else UL_KEY
    number = TOPICS.index(form) + 1
    topic = form.format(protocol=protocol, key=key, device=f"motion{protocol}")
    await site.publish(topic, told(protocol, {"c": number, "t": 20.5}))
    found = await site.arrived(f"urn:ngsi-ld:Motion:{protocol}", count=number, temperature=20.5)
    assert found["type"] == "Motion"
    assert found["refStore"] == {"type": "Relationship", "object": "urn:ngsi-ld:Store:001"}
    assert found["temperature"]["unitCode"] == "CEL"
    assert found["temperature"]["observedAt"]


@pytest.mark.parametrize("protocol", ["json", "ul"])
@pytest.mark.parametrize("form", TOPICS)
async def test_single_attributes_on_every_form_of_topic(site: Site, protocol: str, form: str) -> None:
    key = JSON_KEY if protocol == "json" else UL_KEY
    number = 100 + TOPICS.index(form)
    topic = form.format(protocol=protocol, key=key, device=f"motion{protocol}") + "/c"
    await site.publish(topic, str(number))
    await site.arrived(f"urn:ngsi-ld:Motion:{protocol}", count=number)


async def test_devices_nobody_has_named_join_by_mqtt(site: Site) -> None:
    await site.publish(f"/json/{JSON_KEY}/new-1/attrs", '{"h": "45", "pressure": 720}')
    await site.arrived("urn:ngsi-ld:Thing:new-1", humidity=45, pressure=720)
    status, device = await site.provision("GET", "/iot/devices/new-1")
    assert status == 200
    assert device["entity_name"] == "urn:ngsi-ld:Thing:new-1"
    assert (device["apikey"], device["service"], device["service_path"]) == (JSON_KEY, "openiot", "/")


async def test_http_measures(site: Site) -> None:
    url = f"{site.south}/iot/json?i=http-1&k={JSON_KEY}"
    status, answer, headers = await site.request("POST", url, {"h": 10})
    assert (status, answer) == (200, {})
    assert int(headers["x-processing-time"]) >= 0
    found = await site.entity("urn:ngsi-ld:Thing:http-1")
    assert found is not None, "the answer comes after the commit"
    assert found["humidity"]["value"] == 10
    assert (await site.request("GET", url + '&d={"h":11}'))[:2] == (200, {})
    assert (await site.entity("urn:ngsi-ld:Thing:http-1") or {})["humidity"]["value"] == 11
    assert (await site.request("POST", url, {"h": 12}, Accept="text/html"))[:2] == (200, "")


async def test_http_measures_with_a_time(site: Site) -> None:
    url = f"{site.south}/iot/json?i=http-2&k={JSON_KEY}&t=2026-01-02T03:04:05Z"
    assert (await site.request("POST", url, [{"h": 1}]))[0] == 200
    found = await site.arrived("urn:ngsi-ld:Thing:http-2", humidity=1)
    assert found["humidity"]["observedAt"] == "2026-01-02T03:04:05.000Z"


async def test_http_ultralight(site: Site) -> None:
    url = f"{site.south}/iot/d?i=http-3&k={UL_KEY}"
    assert (await site.request("GET", url + "&d=t|16&t=2026-01-02T03:04:05Z"))[0] == 200
    found = await site.entity("urn:ngsi-ld:Thing:http-3")
    assert found is not None
    assert found["t"] == {"type": "Property", "value": 16, "observedAt": "2026-01-02T03:04:05.000Z"}
    assert (await site.request("POST", url, data="t|15|k|abc", Content_Type="text/plain"))[:2] == (200, "")
    assert (await site.request("POST", url, data=b"t|15|k|abc", Content_Type=""))[:2] == (200, "")
    again = await site.entity("urn:ngsi-ld:Thing:http-3")
    assert again is not None
    assert (again["t"]["value"], again["k"]["value"]) == (15, "abc")


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("text/plain", b"25 \xc2\xb0C", "25 °C"),
        ("application/octet-stream", b"\x01\xff", "01ff"),
        ("application/json", b'{"deep": [1]}', {"deep": [1]}),
        (
            "application/soap+xml",
            b'<s:Envelope xmlns:s="http://e"><s:Body a="1"><t>20</t><t>21</t></s:Body></s:Envelope>',
            {"Envelope": {"Body": [{"$": {"a": "1"}, "t": ["20", "21"]}]}},
        ),
    ],
)
async def test_single_values_over_http(site: Site, content_type: str, body: bytes, value: Any) -> None:
    url = f"{site.south}/iot/json/attrs/raw?i=http-4&k={JSON_KEY}"
    assert (await site.request("POST", url, data=body, Content_Type=content_type))[:2] == (200, {})
    await site.arrived("urn:ngsi-ld:Thing:http-4", raw=value)


async def test_polling_without_commands(site: Site) -> None:
    assert (await site.request("GET", f"{site.south}/iot/json?i=http-5&k={JSON_KEY}&getCmd=1"))[:2] == (200, {})
    assert (await site.request("GET", f"{site.south}/iot/d?i=http-5&k={UL_KEY}&getCmd=1"))[:2] == (200, "")


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body", "status", "name"),
    [
        ("POST", f"/iot/json?k={JSON_KEY}", "application/json", b"{}", 400, "MANDATORY_PARAMS_NOT_FOUND"),
        ("POST", "/iot/json?i=x", "application/json", b"{}", 400, "MANDATORY_PARAMS_NOT_FOUND"),
        ("GET", f"/iot/json?i=x&k={JSON_KEY}", "", b"", 400, "MANDATORY_PARAMS_NOT_FOUND"),
        ("POST", f"/iot/json?i=x&k={JSON_KEY}", "text/csv", b"1", 400, "UNSUPPORTED_TYPE"),
        ("POST", f"/iot/d?i=x&k={UL_KEY}", "application/json", b"{}", 400, "UNSUPPORTED_TYPE"),
        ("POST", f"/iot/json?i=x&k={JSON_KEY}", "application/json", b'{"t":', 400, "BAD_PAYLOAD"),
        ("POST", f"/iot/json?i=x&k={JSON_KEY}", "application/json", b"7", 400, "WRONG_SYNTAX"),
        ("POST", f"/iot/d?i=x&k={UL_KEY}", "text/plain", b"t", 400, "PARSE_ERROR"),
        ("POST", f"/iot/json?i=x&k={JSON_KEY}&t=noon", "application/json", b'{"a":1}', 400, "BAD_TIMESTAMP"),
        ("POST", "/iot/json?i=x&k=nobody", "application/json", b'{"a":1}', 404, "DEVICE_GROUP_NOT_FOUND"),
        ("POST", f"/iot/else?i=x&k={JSON_KEY}", "application/json", b'{"a":1}', 404, "ROUTE_NOT_FOUND"),
        ("POST", f"/iot/json?i=x&k={JSON_KEY}", "application/json", b"[" + b" " * 1_100_000, 413, "PAYLOAD_TOO_LARGE"),
        (
            "POST",
            f"/iot/json?i=x&k={JSON_KEY}",
            "application/json",
            b'{"a": {"type": 1, "@value": 2}, "@id": "x y"}',
            400,
            "?",
        ),
    ],
)
async def test_refusals_over_http(
    site: Site, method: str, path: str, content_type: str, body: bytes, status: int, name: str
) -> None:
    headers = {"Content_Type": content_type} if content_type else {}
    answered, answer, sent = await site.request(method, site.south + path, data=body or None, **headers)
    assert answered == status, answer
    assert set(answer) == {"name", "message"}
    assert name in ("?", answer["name"])
    assert "x-processing-time" in sent


async def test_a_method_no_route_has(site: Site) -> None:
    status, answer, sent = await site.request("PUT", f"{site.south}/iot/json?i=x&k={JSON_KEY}", {"a": 1})
    assert (status, answer["name"]) == (405, "METHOD_NOT_ALLOWED")
    assert "POST" in sent["allow"]


async def test_nothing_to_store_is_taken(site: Site) -> None:
    assert (await site.request("POST", f"{site.south}/iot/json?i=x&k={JSON_KEY}", {}))[:2] == (200, {})


async def test_device_provisioned_by_another_agent_is_known_at_once(site: Site, mongo: str) -> None:
    async with running_site(mongo, site.mqtt_url, site.api) as other:
        body = {"devices": [{"device_id": "elsewhere", "apikey": "lonely", "entity_type": "Lamp", "protocol": "JSON"}]}
        assert (await other.provision("POST", "/iot/devices", body))[0] == 201
        status, answer, _ = await site.request("POST", f"{site.south}/iot/json?i=elsewhere&k=lonely", {"on": True})
        assert (status, answer) == (200, {})
        assert (await other.provision("DELETE", "/iot/devices/elsewhere"))[0] == 204

        async def refused() -> bool:
            url = f"{site.south}/iot/json?i=elsewhere&k=lonely"
            return (await site.request("POST", url, {"on": True}))[0] == 404

        await until(refused, within_s=3)  # a second, on a machine that has nothing else to do
