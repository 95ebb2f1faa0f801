"""What devices and scripts are told while something is away, and that nothing acknowledged is lost."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from agents.metrics import Metrics
from agents.northbound import PROBE_ID, Northbound
from agents.specification import Target
from broker.embedded import START_WITHIN_S, answers, mongod_command
from broker.storage.mongo_replica import SET_NAME, become_primary
from tests.agents.receiver import Receiver, listening
from tests.broker.api.conftest import Api
from tests.contract.conftest import running_site
from tests.end_to_end.process import Process
from tests.waiting import until

GROUP = {"resource": "/iot/json", "apikey": "out", "entity_type": "Room", "jsonLdContext": "https://medina.example/c"}


async def test_http_device_is_told_when_nothing_is_committed(
    mongo: str, mqtt_url: str, context_api: Api, free_port: Callable[[], int]
) -> None:
    port = free_port()
    changes = {"broker_url": f"http://127.0.0.1:{port}", "south_timeout_s": 0.3, "database": "outage"}
    async with running_site(mongo, mqtt_url, context_api, **changes) as site:
        assert (await site.provision("POST", "/iot/groups", {"groups": [GROUP]}))[0] == 201
        url = f"{site.south}/iot/json?i=o1&k=out"
        status, answer, headers = await site.request("POST", url, {"n": 1})
        assert (status, answer["name"], headers["retry-after"]) == (503, "SERVICE_UNAVAILABLE", "1")
        async with listening(Receiver(), port) as receiver:
            await until(lambda: receiver.values("n") == [1])
            receiver.open.clear()
            waiting = asyncio.create_task(site.request("POST", url, {"n": 2}))
            await until(lambda: len(receiver.asked) >= 2)
            assert not waiting.done(), "nothing is committed yet"
            receiver.open.set()
            assert (await waiting)[0] == 200
            assert receiver.values("n")[-1] == 2


async def test_too_much_waits(mongo: str, mqtt_url: str, context_api: Api, free_port: Callable[[], int]) -> None:
    changes = {"broker_url": f"http://127.0.0.1:{free_port()}", "south_timeout_s": 0.2, "waiting_count": 2}
    async with running_site(mongo, mqtt_url, context_api, **changes, database="outage") as site:
        await site.provision("POST", "/iot/groups", {"groups": [GROUP]})
        url = f"{site.south}/iot/json?i=o2&k=out"
        told = [(await site.request("POST", url, {"n": number}))[1]["message"] for number in range(5)]
        assert told[-1] == "too many messages wait for the context broker"


async def test_mongodb_away(mqtt_url: str, context_api: Api, free_port: Callable[[], int], tmp_path: Path) -> None:
    """Known devices go on, new ones join when it is back, provisioning says 503."""
    port = free_port()
    mongod = Process("mongod", mongod_command(tmp_path / "mongod", port), {}, tmp_path, lambda: answers(port))
    uri = f"mongodb://127.0.0.1:{port}/?replicaSet={SET_NAME}"
    try:
        await asyncio.to_thread(mongod.start)
        await asyncio.to_thread(become_primary, port, START_WITHIN_S)
        async with running_site(uri, mqtt_url, context_api, mongodb_timeout_s=0.5) as site:
            group = {name: value for name, value in GROUP.items() if name != "jsonLdContext"}
            assert (await site.provision("POST", "/iot/groups", {"groups": [group]}, "away"))[0] == 201
            url = f"{site.south}/iot/json?k=out&i="
            assert (await site.request("POST", url + "a1", {"n": 1}))[0] == 200
            await asyncio.to_thread(mongod.kill)
            assert (await site.request("POST", url + "a1", {"n": 2}))[0] == 200
            assert (await site.request("POST", url + "a2", {"n": 3}))[0] == 200
            status, answer = await site.provision("GET", "/iot/devices", None, "away")
            assert (status, answer["name"]) == (503, "REGISTRY_NOT_AVAILABLE")
            await until(lambda: site.agent.trouble_of_the_registry is not None)
            await asyncio.to_thread(mongod.start)
            await asyncio.to_thread(become_primary, port, START_WITHIN_S)

            async def entered() -> bool:
                await site.request("POST", url + "a1", {"n": 4})
                answered = await site.provision("GET", "/iot/devices", None, "away")
                return answered[0] == 200 and answered[1]["count"] == 2

            await until(entered, within_s=15, every_s=0.2)
            await site.arrived("urn:ngsi-ld:Room:a2", tenant="away", n=3)
    finally:
        mongod.end()


async def test_what_shows_whether_the_broker_writes_leaves_nothing_behind(context_api: Api) -> None:
    northbound = Northbound(context_api.address, 1, Metrics())
    await northbound.open()
    try:
        for tenant in ("probed", ""):
            assert await northbound._takes_others(Target(tenant, ""))
            told = {"NGSILD_Tenant": tenant} if tenant else {}
            assert (await context_api("GET", f"entities/{PROBE_ID}", **told))[0] == 404
            assert (await context_api("GET", "types", **told))[0] == 200
    finally:
        await northbound.close()
