"""S8: the updates of S2 beside 100,000 subscriptions that do not match, and what these cost otherwise."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from statistics import mean
from time import monotonic
from typing import Any

from pymongo import AsyncMongoClient, WriteConcern

from ngsi import subscription
from ngsi.context import CORE
from ngsi.vocabulary import CORE_CONTEXT_URL
from tests.bench.floors import DATABASE
from tests.bench.scenario import WARM_UP_S, Outcome, Scenario
from tests.bench.scenarios import update
from tests.end_to_end.city import City, is_ready
from tests.waiting import until_sync

COUNT = 100_000
MATCHING = 1_000
SPREAD = 32  # new subscriptions, so that every notifier has some of them
MEMORY_MB, START_S, EFFECT_S = 250.0, 15.0, 1.0
_AT = "2026-01-01T00:00:00.000Z"
_AT_ONCE = 5_000
_WITHIN_S = 120
_NAME = "urn:ngsi-ld:Subscription:bench-"


def watcher(number: int) -> dict[str, Any]:
    """A stored subscription to an entity that nobody writes."""
    endpoint = {"uri": f"http://127.0.0.1:9/{number % 100}", "accept": "application/json"}
    body = {
        "id": f"{_NAME}{number:06}",
        "type": "Subscription",
        "description": f"Tells the dashboard of site {number} when it is warm or crowded",
        "entities": [{"type": "ThermalCamera", "id": f"urn:ngsi-ld:ThermalCamera:site-{number:06}"}],
        "watchedAttributes": ["temperature", "peopleCount"],
        "q": "temperature>25|peopleCount>100",
        "notification": {"attributes": ["temperature", "peopleCount"], "format": "keyValues", "endpoint": endpoint},
    }
    return subscription.parse(body, CORE, _AT).document(str(body["id"]), CORE_CONTEXT_URL, _AT)


async def _insert(uri: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        stored = client[DATABASE].get_collection("subscriptions", write_concern=WriteConcern("majority", j=True))
        for first in range(0, COUNT, _AT_ONCE):
            await stored.insert_many([watcher(number) for number in range(first, first + _AT_ONCE)])


async def _remove(uri: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        await client[DATABASE]["subscriptions"].delete_many({"_id": {"$regex": f"^{_NAME}"}})


def run(city: City, seconds: float) -> Outcome:
    """Updates per second with them, against those without, before and after; everything else as facts."""
    bare_mb, _ = _restarted(city)
    before = update.run(city, seconds)
    try:
        asyncio.run(_insert(city.mongodb_uri))
        _until_known(city, COUNT)
        loaded = update.run(city, seconds)
        full_mb, start_s = _restarted(city)
        effect_s = _effect_s(city)
    finally:
        asyncio.run(_remove(city.mongodb_uri))
        _until_known(city, 0)
    after = update.run(city, seconds)
    told = _told(city)
    facts = {"memory MB": full_mb - bare_mb, "start s": start_s, "effect s": effect_s, "of 1,000 told": told}
    wrong = [
        f"{name} {facts[name]:.1f}"
        for name, limit in (("memory MB", MEMORY_MB), ("start s", START_S), ("effect s", EFFECT_S))
        if facts[name] > limit
    ]
    wrong += [f"only {told} told"] * (told < MATCHING) + [one.problem for one in (before, loaded, after) if one.problem]
    return replace(loaded, floor_rate=mean((before.rate, after.rate)), facts=facts, problem=", ".join(wrong))


def _until_known(city: City, count: int) -> None:
    until_sync(lambda: city.metrics("notifier").get("medina_subscriptions") == count, _WITHIN_S, every_s=0.2)


def _restarted(city: City) -> tuple[float, float]:
    """The memory of a notifier that has just started, in MB, and how many seconds that took."""
    notifier = city.parts["notifier"]
    notifier.stop()
    started_s = monotonic()
    notifier.start()
    took_s = monotonic() - started_s
    notifier.reset_peak()
    return notifier.usage().peak_mb, took_s


def _effect_s(city: City) -> float:
    """From the answers to new subscriptions until all have told of an update made right then, with two notifiers."""
    other = city.role("notifier", "second")
    other.start()
    try:
        until_sync(lambda: _do_share(city, "notifier", other.name), _WITHIN_S, every_s=0.2)
        return _subscribed(city, SPREAD, "new")
    finally:
        other.stop()
        until_sync(lambda: city.metrics("notifier")["medina_partitions_held"] == 16, _WITHIN_S, every_s=0.2)
        _until_known(city, COUNT)


def _do_share(city: City, *names: str) -> bool:
    return all(is_ready(city.ports[name]) and city.metrics(name)["medina_partitions_held"] == 8 for name in names)


def _told(city: City) -> int:
    """How many of 1,000 subscriptions to one entity are told of its update."""
    try:
        _subscribed(city, MATCHING, "all")
    except AssertionError:
        return len(city.record.arrivals(by_subscription=True))
    return MATCHING


def _subscribed(city: City, count: int, name: str) -> float:
    """Makes subscriptions to a new entity, updates it once; seconds until all were told."""
    entity = f"urn:ngsi-ld:Watched:{name}"
    city.api("POST", "/entities", {"id": entity, "type": "Watched", "n": {"type": "Property", "value": 0}})
    city.record.clear()
    made = [city.subscribe("Watched") for _ in range(count)]
    subscribed_s = monotonic()
    try:
        city.api("PATCH", f"/entities/{entity}/attrs", {"n": {"type": "Property", "value": 1}})
        until_sync(lambda: len(city.record.arrivals(by_subscription=True)) == count, within_s=30)
        return monotonic() - subscribed_s
    finally:
        for one in made:
            city.api("DELETE", f"/subscriptions/{one}")
        city.api("DELETE", f"/entities/{entity}")


SCENARIO = Scenario(
    "S8",
    "S2 beside 100,000 subscriptions",
    "req/s",
    run,
    lambda city: update.run(city, WARM_UP_S),
    own_floor="S2",
    factor=0.9,
)
