"""One dead, one slow (5 s) and one healthy endpoint: `python -m tests.bench.neighbours [--seconds 20] [--rate 200]`.

All three subscribe to the same entities. Measured is the time from an update being sent to its notification at the
healthy endpoint, alone and beside the other two in turn. The target: its p99 does not move by more than a fifth.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter

import aiohttp
import orjson
import typer
from aiohttp import web

from broker.embedded import running_mongod
from tests.conftest import unused_port
from tests.end_to_end.process import Process
from tests.waiting import until

SLOW_S = 5.0
ENTITIES_COUNT = 100
TURNS_COUNT = 3


def main(seconds: float = 20.0, rate: int = 200) -> None:
    """Prints p50 and p99 of the healthy endpoint, alone and with neighbours."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        address = _start(stack, folder, stack.enter_context(running_mongod(folder / "mongod", unused_port())))
        asyncio.run(_compare(address, seconds, rate))


def _start(stack: ExitStack, folder: Path, mongodb_uri: str) -> str:
    """Starts the context API and the notifier; gives the address of the first."""
    ports = {"broker": unused_port(), "notifier": unused_port()}
    environment = {
        "MONGODB_URI": mongodb_uri,
        "MEDINA_PORT": str(ports["broker"]),
        "MEDINA_NOTIFIER_PORT": str(ports["notifier"]),
        "MEDINA_NOTIFY_ADDRESSES": "any",
    }
    for role, port in ports.items():
        command = [sys.executable, "-c", "from broker.cli import main; main()", role]
        process = Process(role, command, environment, folder, lambda port=port: _is_ready(port))  # type: ignore[misc]
        process.start()
        stack.callback(process.stop)
    return f"http://127.0.0.1:{ports['broker']}"


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _compare(address: str, seconds: float, rate: int) -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(address))
        healthy = await stack.enter_async_context(_receiver(0.0))
        slow = await stack.enter_async_context(_receiver(SLOW_S))
        await _subscribe(session, "healthy", healthy.uri)
        await _load(session, healthy, min(seconds, 5.0), rate)
        figures: dict[str, list[tuple[float, float]]] = {"alone": [], "with neighbours": []}
        for _ in range(TURNS_COUNT):
            figures["alone"].append(await _load(session, healthy, seconds, rate))
            await _subscribe(session, "slow", slow.uri)
            await _subscribe(session, "dead", f"http://127.0.0.1:{unused_port()}/notify")
            figures["with neighbours"].append(await _load(session, healthy, seconds, rate))
            for name in ("slow", "dead"):
                (await session.delete(f"/ngsi-ld/v1/subscriptions/urn:ngsi-ld:Subscription:{name}")).raise_for_status()
    medians = {name: statistics.median(p99 for _, p99 in found) for name, found in figures.items()}
    for name, found in figures.items():
        shown = ", ".join(f"{p50:.1f}/{p99:.1f}" for p50, p99 in found)
        typer.echo(f"{name:16} p50/p99 in ms of {TURNS_COUNT} turns: {shown}; median p99 {medians[name]:.1f}")
    change = medians["with neighbours"] / medians["alone"] - 1
    typer.echo(f"p99 moves by {change:+.0%} (allowed: 20 %)")


class _Receiver:
    """Notes when which value came."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self.uri = ""
        self.arrived_s: dict[int, float] = {}

    async def notified(self, request: web.Request) -> web.Response:
        now_s = perf_counter()
        body = orjson.loads(await request.read())
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        for item in body["data"]:
            self.arrived_s.setdefault(item["number"]["value"], now_s)
        return web.Response(status=204)


@asynccontextmanager
async def _receiver(delay_s: float) -> AsyncIterator[_Receiver]:
    receiver, port = _Receiver(delay_s), unused_port()
    app = web.Application()
    app.router.add_post("/notify", receiver.notified)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    receiver.uri = f"http://127.0.0.1:{port}/notify"
    yield receiver
    await runner.cleanup()


async def _subscribe(session: aiohttp.ClientSession, name: str, uri: str) -> None:
    body = {
        "id": f"urn:ngsi-ld:Subscription:{name}",
        "type": "Subscription",
        "entities": [{"type": "Counter"}],
        "notification": {"endpoint": {"uri": uri, "timeout": 2000 * SLOW_S}},
    }
    (await session.post("/ngsi-ld/v1/subscriptions", json=body)).raise_for_status()
    await asyncio.sleep(0.5)  # it takes effect


async def _load(session: aiohttp.ClientSession, healthy: _Receiver, seconds: float, rate: int) -> tuple[float, float]:
    """Sends updates at a steady pace; p50 and p99 of their way to the healthy receiver, in milliseconds."""
    first = max(healthy.arrived_s, default=0) + 1
    sent_s: dict[int, float] = {}
    pending: set[asyncio.Task[None]] = set()
    started_s = perf_counter()
    for number in range(first, first + int(seconds * rate)):
        await asyncio.sleep(max(0.0, started_s + (number - first) / rate - perf_counter()))
        sent_s[number] = perf_counter()
        task = asyncio.create_task(_update(session, number))
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)
    await until(lambda: sent_s.keys() <= healthy.arrived_s.keys(), within_s=30)
    ways_ms = sorted((healthy.arrived_s[number] - at_s) * 1000 for number, at_s in sent_s.items())
    return ways_ms[len(ways_ms) // 2], ways_ms[len(ways_ms) * 99 // 100]


async def _update(session: aiohttp.ClientSession, number: int) -> None:
    entity_id = f"urn:ngsi-ld:Counter:{number % ENTITIES_COUNT}"
    body = [{"id": entity_id, "type": "Counter", "number": {"type": "Property", "value": number}}]
    async with session.post("/ngsi-ld/v1/entityOperations/upsert", json=body) as answer:
        answer.raise_for_status()


if __name__ == "__main__":
    typer.run(main)
