"""Whatever dies while commands are written, each reaches its device, in order, and its result the entity."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.contract.mqtt_device import mqtt_device
from tests.end_to_end.city import CONTEXT, City
from tests.end_to_end.device import publish
from tests.waiting import until

COUNT = 60
PATHS = "/entities/urn:ngsi-ld:Valve:v1"
GROUP = {
    "resource": "/iot/json",
    "apikey": "valves",
    "entity_type": "Valve",
    "commands": [{"name": "turn"}],
    "jsonLdContext": CONTEXT,
}


@pytest.mark.timeout(120)
async def test_kills_of_agent_and_notifier_lose_no_command(city: City) -> None:
    await asyncio.to_thread(city.provision, GROUP)
    topic = "/valves/v1/cmd"
    async with mqtt_device(city.mqtt_url, topic, "valve", clean=False) as valve:
        valve.answer = lambda payload: ("/json/valves/v1/cmdexe", payload)
        await asyncio.to_thread(publish, city.mqtt_url, [("/json/valves/v1/attrs", b'{"flow": 1}')])
        await until(lambda: city.api("GET", PATHS).status == 200 and "turn_status" in city.api("GET", PATHS).json())
        for number in range(COUNT):
            if number == COUNT // 3:
                city.parts["agent"].kill()
            if number == COUNT // 2:
                await asyncio.to_thread(city.start, "agent")
                city.parts["notifier"].kill()
            if number == 3 * COUNT // 4:
                city.parts["agent"].kill()
                await asyncio.to_thread(city.start, "notifier", "agent")
            answer = city.api("PATCH", f"{PATHS}/attrs/turn", {"type": "Property", "value": number})
            assert answer.status == 204, answer
            await asyncio.sleep(0.01)
        await until(lambda: len(set(valve.heard)) == COUNT, within_s=60)
        firsts = [json.loads(payload)["turn"] for payload in dict.fromkeys(valve.heard)]
        assert firsts == list(range(COUNT)), "in the order in which they were written"
        assert len(valve.heard) <= COUNT + 3, "twice only what a kill interrupted"
        await until(lambda: city.api("GET", f"{PATHS}?options=keyValues").json()["turn_info"] == COUNT - 1, within_s=20)
        assert city.api("GET", f"{PATHS}?options=keyValues").json()["turn_status"] == "OK"
