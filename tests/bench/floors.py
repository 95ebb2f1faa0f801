"""What the machine gives at best, measured in the same run: every target is a share of one of these rates."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

import aiohttp
import uvloop
from pymongo import AsyncMongoClient, ReplaceOne, WriteConcern

from broker.embedded import answers
from tests.bench import cameras, wrk
from tests.conftest import unused_port
from tests.end_to_end.city import HEADERS, City
from tests.end_to_end.process import Process

TITLES = {
    "F1": ("bare FastAPI route", "req/s"),
    "F2": ("bulk_write of 200 replaces", "docs/s"),
    "F3": ("aiohttp POST loop to the receiver", "req/s"),
}
SECONDS = 2
BATCH = 200
DATABASE = "medina"
F1_SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = {wrk.lua_string(json.dumps({"peopleCount": cameras.camera("x")["peopleCount"]}))}
"""


@contextmanager
def floor_app(folder: Path) -> Iterator[str]:
    """The bare FastAPI application of F1 in its own process; its URL."""
    port = unused_port()
    command = [sys.executable, "-m", "tests.bench.floor_app", str(port)]
    process = Process("floor_app", command, {}, folder, lambda: answers(port))
    process.start()
    try:
        yield f"http://127.0.0.1:{port}/floor"
    finally:
        process.end()


class Floors:
    """The floors of one run and every rate measured of each."""

    def __init__(self, city: City, url: str) -> None:
        """`url` is that of the `floor_app`."""
        self._city = city
        self._url = url
        self.rates: dict[str, list[float]] = {name: [] for name in TITLES}
        wrk.run(url, F1_SCRIPT, 1)

    def measure(self, name: str, seconds: float = SECONDS) -> float:
        """Rate per second of one floor now."""
        match name:
            case "F1":
                rate = wrk.run(self._url, F1_SCRIPT, seconds).rate
            case "F2":
                rate = uvloop.run(replaces(self._city.mongodb_uri, seconds))
            case _:
                rate = uvloop.run(posts(self._city, seconds))
        self.rates[name].append(rate)
        return rate

    def means(self) -> dict[str, float]:
        """Mean rate of each floor over the run."""
        return {name: mean(rates) for name, rates in self.rates.items()}


async def replaces(uri: str, seconds: float) -> float:
    """F2: unordered bulk_writes of 200 replaces, one by one, w:majority j:true, of documents as Medina stores them."""
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        stored = await client[DATABASE]["entities"].find_one({"_id": cameras.camera_id(0)})
        assert stored is not None
        collection = client["floor"].get_collection("entities", write_concern=WriteConcern("majority", j=True))
        documents = [{**stored, "_id": cameras.camera_id(number)} for number in range(cameras.COUNT)]
        if not await collection.estimated_document_count():
            await collection.insert_many(documents)
        started, done = time.monotonic(), 0
        while (elapsed := time.monotonic() - started) < seconds:
            first = done % cameras.COUNT
            chosen = [{**document, "rev": done} for document in documents[first : first + BATCH]]
            await collection.bulk_write([ReplaceOne({"_id": one["_id"]}, one) for one in chosen], ordered=False)
            done += BATCH
        return done / elapsed


async def posts(city: City, seconds: float) -> float:
    """F3: notifications posted by aiohttp, 32 at a time, to the receiver."""
    entity = cameras.camera(cameras.camera_id(0))
    notification = {"id": "urn:ngsi-ld:Notification:1", "type": "Notification", "notifiedAt": cameras.OBSERVED_AT}
    body = json.dumps({**notification, "subscriptionId": "urn:ngsi-ld:Subscription:1", "data": [entity]}).encode()
    url = f"http://127.0.0.1:{city.ports['receiver']}/"
    started, done = time.monotonic(), 0

    async def post(session: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.monotonic() - started < seconds:
            async with session.post(url, data=body, headers=HEADERS):
                done += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(post(session) for _ in range(wrk.CONNECTIONS)))
    return done / (time.monotonic() - started)
