"""What devices combine: several measures in a message, several attributes of a field, changes while they speak."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.contract.conftest import Site

NUMBER = {"type": "Number"}
TEMPERATURE = {"object_id": "t", "name": "temperature", **NUMBER}


async def provision(site: Site, apikey: str, resource: str = "/iot/json", **members: Any) -> None:
    group = {"resource": resource, "apikey": apikey, "entity_type": "Mix", **members}
    assert await site.provision("POST", "/iot/groups", {"groups": [group]}) == (201, {})


async def say(site: Site, apikey: str, body: Any, device: str = "") -> tuple[int, Any]:
    """Post a measure; the device is called like the apikey if nothing else is said."""
    url = f"{site.south}/iot/json?k={apikey}&i={device or apikey}"
    status, answer, _ = await site.request("POST", url, body)
    return status, answer


async def entity(site: Site, device: str, type_: str = "Mix") -> Mapping[str, Any]:
    """The entity of an HTTP device, whose measures are committed when they are answered."""
    found = await site.entity(f"urn:ngsi-ld:{type_}:{device}")
    assert found is not None
    return found


async def test_one_field_becomes_several_attributes(site: Site) -> None:
    fahrenheit = {"object_id": "t", "name": "fahrenheit", **NUMBER, "expression": "t * 1.8 + 32"}
    raw = {"object_id": "t", "name": "raw", "type": "Text"}
    await provision(site, "several", attributes=[{**TEMPERATURE, "min": 0, "max": 50}, fahrenheit, raw])
    assert (await say(site, "several", {"t": 20}))[0] == 200
    found = await entity(site, "several")
    assert {name: found[name]["value"] for name in ("temperature", "fahrenheit", "raw")} == {
        "temperature": 20,
        "fahrenheit": 68,
        "raw": 20,
    }
    assert (await say(site, "several", {"t": 500}))[0] == 400  # the range of one attribute counts for all of the field


async def test_lazy_attributes_have_their_names_when_they_are_reported(site: Site) -> None:
    lazy = {"object_id": "l", "name": "lightLevel", "type": "Number"}
    await provision(site, "lazy", lazy=[lazy], attributes=[TEMPERATURE], explicitAttrs=True)
    assert (await say(site, "lazy", {"l": 300, "t": 21}))[0] == 200
    found = await entity(site, "lazy")
    assert (found["lightLevel"]["value"], found["temperature"]["value"]) == (300, 21)


async def test_one_field_goes_to_several_entities(site: Site) -> None:
    rooms = [
        {**TEMPERATURE, "entity_name": f"urn:ngsi-ld:Room:two-rooms-{side}", "entity_type": "Room"} for side in "ab"
    ]
    await provision(site, "sides", attributes=rooms)
    assert (await say(site, "sides", {"t": 21}))[0] == 200
    values = [(await entity(site, f"two-rooms-{side}", "Room"))["temperature"]["value"] for side in "ab"]
    assert values == [21, 21]


@pytest.mark.parametrize("floor", [{"name": "floor", "value": 3}, {"name": "floor", "value": 3, "entity_type": "Mix"}])
async def test_what_is_static_is_not_the_devices_to_say(site: Site, floor: dict[str, Any]) -> None:
    apikey = f"static{len(floor)}"
    await provision(site, apikey, static_attributes=[{**floor, "type": "Number"}])
    assert (await say(site, apikey, {"floor": 9, "t": 1}))[0] == 200
    found = await entity(site, apikey)
    assert (found["floor"]["value"], found["t"]["value"]) == (3, 1)


@pytest.mark.parametrize(
    ("name", "members", "idle"),
    [
        ("an-empty-one", {}, {}),
        ("only-null", {}, {"t": None}),
        ("only-a-time", {}, {"TimeInstant": "2026-04-02T08:00:00Z"}),
        ("nothing-provisioned", {"explicitAttrs": True, "attributes": [TEMPERATURE]}, {"other": 1}),
        ("nothing-chosen", {"explicitAttrs": "['temperature']", "attributes": [TEMPERATURE]}, {"other": 1}),
        ("implausible", {"attributes": [{**TEMPERATURE, "max": 50}]}, {"t": 500}),
        ("no-number", {"attributes": [TEMPERATURE]}, {"t": "warm"}),
    ],
)
async def test_a_measure_without_anything_in_it_costs_the_others_nothing(
    site: Site, name: str, members: dict[str, Any], idle: dict[str, Any]
) -> None:
    await provision(site, name, **members)
    field = members["attributes"][0]["name"] if members else "t"
    times = [f"2026-04-02T08:00:0{second}Z" for second in (1, 2)]
    before, after = ({"t": value, "TimeInstant": at} for value, at in zip((1, 2), times, strict=True))
    assert await say(site, name, [before, idle, after]) == (200, {})
    found = await entity(site, name)
    assert (found[field]["value"], found[field]["observedAt"]) == (2, "2026-04-02T08:00:02.000Z")


async def test_a_group_of_ultralight_without_a_value_costs_the_others_nothing(site: Site) -> None:
    await provision(site, "ul-idle", "/iot/d")
    await site.publish("/ul/ul-idle/meter/attrs", "t|1#h|null#p|2")
    await site.arrived("urn:ngsi-ld:Mix:meter", t=1, p=2)


@pytest.mark.parametrize(
    ("name", "stated", "observed"),
    [
        ("date", "2026-04-02", "2026-04-01T15:00:00.000Z"),
        ("blank", "2026-04-02 09:30:00", "2026-04-02T00:30:00.000Z"),
        ("wall-time", "2026-04-02T09:30:00", "2026-04-02T00:30:00.000Z"),
        ("attribute", {"type": "DateTime", "value": "2026-04-02T09:30:00Z"}, "2026-04-02T09:30:00.000Z"),
    ],
)
async def test_times_as_devices_write_them(site: Site, name: str, stated: Any, observed: str) -> None:
    apikey = f"time-{name}"
    await provision(site, apikey, timezone="Asia/Tokyo", payloadType="ngsild")
    measure = {"id": "x", "type": "y", "TimeInstant": stated, "t": {"type": "Property", "value": 1}}
    assert (await say(site, apikey, measure))[0] == 200
    assert (await entity(site, apikey))["t"]["observedAt"] == observed


async def test_fields_that_are_called_like_members_of_ngsi_ld(site: Site) -> None:
    await provision(site, "reserved")
    fields = ("id", "type", "scope", "observedAt", "createdAt", "unitCode", "lang", "expiresAt")
    assert await say(site, "reserved", dict.fromkeys(fields, 1)) == (200, {})
    found = await entity(site, "reserved")
    assert {found[f"measure_{field}"]["value"] for field in fields} == {1}


async def test_groups_change_their_key_and_route_while_devices_speak(site: Site) -> None:
    await provision(site, "key-1")
    await provision(site, "key-taken")
    assert (await say(site, "key-1", {"t": 1}))[0] == 200
    group = "/iot/groups?resource=/iot/json&apikey="
    assert (await site.provision("PUT", group + "key-1", {"apikey": "key-taken"}))[0] == 409
    assert await site.provision("PUT", group + "key-1", {"apikey": "key-2", "entity_type": "New"}) == (204, "")
    status, answer = await say(site, "key-1", {"t": 2})
    assert (status, answer["name"]) == (404, "DEVICE_GROUP_NOT_FOUND")
    assert (await say(site, "key-2", {"t": 3}, device="key-1"))[0] == 200
    assert (await entity(site, "key-1", "New"))["t"]["value"] == 3
    assert await site.provision("PUT", group + "key-2", {"resource": "/own"}) == (204, "")
    url = f"{site.south}/own?k=key-2&i=key-1"
    assert (await site.request("POST", url, {"t": 4}))[0] == 200
    assert (await entity(site, "key-1", "New"))["t"]["value"] == 4


async def test_a_device_cannot_take_the_key_of_its_namesake(site: Site) -> None:
    devices = [{"device_id": "twin", "apikey": apikey} for apikey in ("twin-1", "twin-2")]
    assert await site.provision("POST", "/iot/devices", {"devices": devices}) == (201, {})
    status, answer = await site.provision("PUT", "/iot/devices/twin?apikey=twin-1", {"apikey": "twin-2"})
    assert (status, answer["name"]) == (409, "DUPLICATE_DEVICE_ID")
