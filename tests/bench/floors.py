"""What the machine gives at best, measured in the same run: every target is a share of one of these rates."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from pymongo import AsyncMongoClient, ReplaceOne, WriteConcern

from broker.embedded import answers
from tests.bench import cameras, wrk
from tests.conftest import unused_port
from tests.end_to_end.city import HEADERS, City
from tests.end_to_end.process import Process

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


def measure(city: City, url: str, seconds: float) -> dict[str, float]:
    """Rates per second of F1 (requests), F2 (documents) and F3 (requests)."""
    wrk.run(url, F1_SCRIPT, 1)
    return {
        "F1": wrk.run(url, F1_SCRIPT, seconds).rate,
        "F2": uvloop.run(replaces(city.mongodb_uri, seconds)),
        "F3": uvloop.run(posts(city, seconds)),
    }


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
