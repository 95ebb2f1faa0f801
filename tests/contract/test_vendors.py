"""Vendors' devices as they come, on the whole way to the context broker."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.agents.corpus import FOLDER
from tests.broker.api.conftest import Api
from tests.contract.conftest import Site, running_site
from tests.waiting import until

CONTEXT = "https://medina.example/campus/context.jsonld"
LINK = f'<{CONTEXT}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
PICTURE = b"\xff\xd8\xff\xe0JFIF" + b"SECRETPICTURE" * 200_000


@pytest.fixture(scope="module")
async def vendors(
    mongo: str, mqtt_url: str, context_api: Api, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """An agent with the devices of the corpus."""
    path = tmp_path_factory.mktemp("vendors") / "vendors.toml"
    devices = (FOLDER / "vendors.toml").read_text(encoding="utf-8")
    path.write_text(devices.replace("https://medina.example/vendors/context.jsonld", CONTEXT), encoding="utf-8")
    changes = {"devices": str(path), "database": "vendors", "tenant": "vendors"}
    async with running_site(mongo, mqtt_url, context_api, **changes) as site:
        yield site


async def stored(site: Site, entity_id: str) -> dict[str, Any] | None:
    status, _, body = await site.api("GET", f"entities/{entity_id}", NGSILD_Tenant="vendors", Link=LINK)
    return body if status == 200 else None


async def arrived(site: Site, entity_id: str) -> dict[str, Any]:
    found: dict[str, Any] | None = await until(lambda: stored(site, entity_id), within_s=10)
    assert found is not None
    return found


def payload_of(case: str) -> bytes:
    content = json.loads((FOLDER / f"{case}.json").read_text(encoding="utf-8"))
    if "payload_hex" in content:
        return bytes.fromhex(content["payload_hex"])
    text: str = content["payload_text"] if "payload_text" in content else json.dumps(content["payload"])
    return text.encode()


def pushed() -> bytes:
    """A terminal's event with the picture beside it, more than a message may have."""
    return payload_of("hikvision/valid/face-and-temperature-with-picture").replace(b"/9j/4AAQSkZJRgABAQAAAQAB", PICTURE)


async def push(site: Site, path: str, body: bytes) -> tuple[int, Any]:
    content_type = "multipart/form-data; boundary=MIME_boundary"
    status, answer, _ = await site.request("POST", site.south + path, data=body, Content_Type=content_type)
    return status, answer


async def rejected(site: Site) -> str:
    return json.dumps((await site.request("GET", f"{site.north}/rejected"))[1])


async def test_terminal_is_answered_when_its_event_is_stored_and_its_picture_is_nowhere(vendors: Site) -> None:
    assert len(pushed()) > 2_000_000
    assert await push(vendors, "/hikvision/term-1", pushed()) == (200, {})
    event = await stored(vendors, "urn:ngsi-ld:AccessEvent:term-1-4711")
    screening = await stored(vendors, "urn:ngsi-ld:TemperatureScreening:term-1-4711")
    assert event is not None
    assert screening is not None
    assert (event["accessResult"]["value"], screening["result"]["value"]) == ("granted", "pass")
    assert "8165538" not in json.dumps([event, screening])
    assert "36.6" not in json.dumps([event, screening])


async def test_event_that_is_pushed_again_is_not_written_again(vendors: Site) -> None:
    assert await push(vendors, "/hikvision/term-1", pushed()) == (200, {})
    before = await vendors.api(
        "GET", "entities/urn:ngsi-ld:AccessEvent:term-1-4711?options=sysAttrs", NGSILD_Tenant="vendors", Link=LINK
    )
    assert await push(vendors, "/hikvision/term-1", pushed()) == (200, {})
    after = await vendors.api(
        "GET", "entities/urn:ngsi-ld:AccessEvent:term-1-4711?options=sysAttrs", NGSILD_Tenant="vendors", Link=LINK
    )
    assert before[2]["modifiedAt"] == after[2]["modifiedAt"]


async def test_push_that_cannot_be_read_is_refused_and_kept_without_pictures(vendors: Site) -> None:
    body = b"--MIME_boundary\r\nContent-Type: image/jpeg\r\n\r\n" + PICTURE + b"\r\n--MIME_boundary--\r\n"
    status, answer = await push(vendors, "/hikvision/term-1", body)
    assert (status, answer["name"]) == (400, "BAD_PAYLOAD")
    assert "not-multipart" in await rejected(vendors)
    assert "SECRETPICTURE" not in await rejected(vendors)
    assert (await push(vendors, "/hikvision/nobody", pushed()))[0] == 404
    assert (await push(vendors, "/hikvision/term-1", b""))[0] == 400
    assert (await vendors.request("GET", f"{vendors.south}/hikvision/term-1"))[0] == 400


async def test_sensor_may_post_senml_in_cbor(vendors: Site) -> None:
    status, answer, _ = await vendors.request(
        "POST", f"{vendors.south}/senml/fields/station-7", data=payload_of("senml/valid/cbor")
    )
    assert (status, answer) == (200, {})
    station = await stored(vendors, "urn:ngsi-ld:WeatherStation:station-7")
    assert station is not None
    assert (station["temp"]["value"], station["temp"]["unitCode"]) == (23.5, "CEL")


async def test_last_will_makes_the_device_offline(vendors: Site) -> None:
    await vendors.publish("tele/tasmota_A1B2C3/LWT", "Offline")
    device = await arrived(vendors, "urn:ngsi-ld:Device:tasmota_A1B2C3")
    assert device["deviceState"]["value"] == "offline"


async def test_value_out_of_range_is_told_and_the_rest_is_stored(vendors: Site) -> None:
    await vendors.publish("zigbee2mqtt/office", '{"temperature": 21.5, "humidity": 655.35}')
    room = await arrived(vendors, "urn:ngsi-ld:Room:office")
    assert room["temperature"]["value"] == 21.5
    assert "relativeHumidity" not in room
    assert '"reason": "implausible"' in await rejected(vendors)


async def test_strangers_beacons_leave_no_trace(vendors: Site) -> None:
    await vendors.publish(
        "home/g/BTtoMQTT/4A11223344FF", payload_of("theengs/valid/somebody-elses-beacon-leaves-nothing")
    )
    await vendors.publish("home/g/BTtoMQTT/4A11223344FF", b"{")
    await vendors.publish("home/g/BTtoMQTT/60877610DEAD", payload_of("theengs/valid/own-beacon"))

    async def sighted() -> bool:
        found = await vendors.api("GET", "entities?type=BeaconSighting", NGSILD_Tenant="vendors", Link=LINK)
        return found[0] == 200 and len(found[2]) == 1

    await until(sighted, within_s=10)
    assert "4A11223344FF" not in await rejected(vendors)
    status, heard, _ = await vendors.request("GET", f"{vendors.north}/devices")
    assert status == 200
    assert "4A11223344FF" not in json.dumps(heard)
    assert "office" in json.dumps(heard)


SETTINGS = {"direction": "in", "category": "visitor"}


async def provision(site: Site, **members: Any) -> tuple[int, Any]:
    device = {"device_id": "gate-rest", "protocol": "esp-rfid", "jsonLdContext": CONTEXT, **members}
    return await site.provision("POST", "/iot/devices", {"devices": [device]}, "vendors")


async def test_vendors_device_is_provisioned_over_the_api(vendors: Site) -> None:
    """With what the rules of its profile read, as in a device file."""
    status, answer = await provision(vendors, settings=SETTINGS)
    assert (status, answer["name"]) == (400, "WRONG_SYNTAX")
    assert answer["message"].endswith("the profile esp-rfid needs device_type, zone")
    zone = "urn:ngsi-ld:Zone:gate"
    assert await provision(vendors, settings=SETTINGS, zone=zone, device_type="BadgeReader", expectedInterval=60) == (
        201,
        {},
    )
    await vendors.publish("esp-rfid/gate-rest/send", payload_of("esp_rfid/valid/granted"))
    reader = await arrived(vendors, "urn:ngsi-ld:BadgeReader:gate-rest")
    assert (reader["zone"]["object"], reader["expectedInterval"]["value"]) == (zone, 60)

    async def seen() -> Any:
        found = await vendors.api(
            "GET",
            'entities?type=AccessEvent&q=refDevice=="urn:ngsi-ld:BadgeReader:gate-rest"',
            NGSILD_Tenant="vendors",
            Link=LINK,
        )
        return found[2]

    (event,) = await until(seen)
    assert (event["direction"]["value"], event["zone"]["object"]) == ("in", zone)
    assert event["holderCategory"]["value"] == "visitor"


async def test_persons_need_the_operators_key(mongo: str, mqtt_url: str, context_api: Api) -> None:
    async with running_site(mongo, mqtt_url, context_api, database="keyless", pseudonym_key="") as site:
        status, answer = await provision(site, settings=SETTINGS, zone="urn:ngsi-ld:Zone:gate")
        assert (status, answer["name"]) == (400, "WRONG_SYNTAX")
        assert "MEDINA_PSEUDONYM_KEY" in answer["message"]


async def test_plausible_range_in_an_attribute(site: Site) -> None:
    attributes = [
        {
            "object_id": "t",
            "name": "temperature",
            "type": "Number",
            "min": -40,
            "max": 60,
            "metadata": {"unitCode": {"type": "Text", "value": "CEL"}},
        }
    ]
    group = {"resource": "/iot/json", "apikey": "plausible", "entity_type": "Shed", "attributes": attributes}
    assert (await site.provision("POST", "/iot/groups", {"groups": [group]}))[0] == 201
    url = f"{site.south}/iot/json?i=shed&k=plausible"
    assert (await site.request("POST", url, {"t": 850, "h": 40}))[0] == 200
    found = await site.arrived("urn:ngsi-ld:Shed:shed", h=40)
    assert "temperature" not in found
    assert "at least -40 and at most 60 CEL" in await rejected(site)
    assert (await site.request("POST", url, {"t": "21.5"}))[0] == 200
    await site.arrived("urn:ngsi-ld:Shed:shed", temperature=21.5)
    for wrong in ({"min": 5, "max": 4}, {"min": 1, "expression": "t * 2"}):
        changes = {"attributes": [{"object_id": "t", "name": "temperature", **wrong}]}
        query = "?resource=/iot/json&apikey=plausible"
        assert (await site.provision("PUT", f"/iot/groups{query}", changes))[0] == 400


async def test_provisioned_device_that_never_speaks_is_offline(mongo: str, mqtt_url: str, context_api: Api) -> None:
    async with running_site(mongo, mqtt_url, context_api, database="silent", silent_after_intervals=1.0) as site:
        watched = {"device_type": "Device", "expectedInterval": 1}
        bodies = [
            {"device_id": "mute", "protocol": "tasmota", "entity_type": "Room", **watched},
            {"device_id": "free", "protocol": "tasmota", "entity_type": "Room"},
        ]
        assert (await site.provision("POST", "/iot/devices", {"devices": bodies}, "silent"))[0] == 201
        group = {"resource": "/iot/json", "apikey": "murmur", "entity_type": "Pump", **watched}
        assert (await site.provision("POST", "/iot/groups", {"groups": [group]}, "silent"))[0] == 201
        await site.publish("/json/murmur/m1/attrs", '{"n": 1}')
        await site.arrived("urn:ngsi-ld:Pump:m1", "silent", n=1)
    async with running_site(mongo, mqtt_url, context_api, database="silent", silent_after_intervals=1.0) as site:
        await site.arrived("urn:ngsi-ld:Device:mute", "silent", deviceState="offline")
        await site.arrived("urn:ngsi-ld:Alert:device-mute", "silent", status="open")
        await site.arrived("urn:ngsi-ld:Device:m1", "silent", deviceState="offline")
        await site.publish("tele/mute/STATE", '{"POWER": "ON"}')
        await site.arrived("urn:ngsi-ld:Alert:device-mute", "silent", status="closed")
        assert await site.entity("urn:ngsi-ld:Device:free", "silent") is None
