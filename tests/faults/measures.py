"""The trial of the agents: two of them, and everything around them, struck while devices publish numbered measures.

What has been stored is read from MongoDB's change stream: every state that an entity ever had, so nothing is counted
twice or missed because a notification was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from broker.storage.mongo_documents import changes, entity
from ngsi.changes import unroll
from tests.end_to_end.city import CONTEXT, City
from tests.end_to_end.process import Process
from tests.end_to_end.record import Arrivals
from tests.faults.blows import Chaos
from tests.waiting import until

AGENTS = ("agent", "agent-b")
DEVICES = 50
_PARTS = ("mongod", "mqtt", "broker", *AGENTS)
_TARGETS = (*AGENTS, *AGENTS, "broker", "mongod", "mqtt")
# MongoDB is away for up to 3 s: longer than agents and context API wait for it, as it may be with usual settings.
_PATIENCE = {"MEDINA_MONGODB_TIMEOUT_S": "1"}
_SETTINGS = {"MEDINA_AGENT_SLOTS": "2", **_PATIENCE}
_NUMBERED = "n"
_QUIET_S = 45.0

# Devices without a clock count their measures, and their profile says so: a publisher that gets no acknowledgement
# sends again, and nothing else tells such a copy from a new measure.
_PROFILE = """
protocol = "iotagent_json"
topics = ["counted/{device}"]
device = "{device}"
dedup = "{n}"
"""
_DEVICES = f"""
context = "{CONTEXT}"
profiles = "profiles"

[[group]]
apikey = "stated"
entity_type = "Device"
autoprovision = true

[[group]]
profile = "counted"
entity_type = "Device"
autoprovision = true
"""
KINDS: Mapping[str, Mapping[str, object]] = {
    "stated": {"topic": "/json/stated/{device}/attrs", "stated": None},
    "counted": {"topic": "counted/{device}"},
}
"""The two kinds of devices, and the options of their publishers."""


@dataclass(frozen=True)
class Verdict:
    """What became of the measures. `struck` counts the blows by part; times in seconds."""

    measures: int
    lost: int
    disordered: int
    duplicates: int
    reconnects: int
    publishing_s: float
    all_stored_after_s: float
    struck: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {**asdict(self), "struck": dict(self.struck)}


class Trial:
    """A city of its own in `folder` with two agents."""

    def __init__(self, folder: Path) -> None:
        """Nothing is started yet."""
        self.city = City(folder)
        (folder / "devices.toml").write_text(_DEVICES)
        (folder / "profiles").mkdir(exist_ok=True)
        (folder / "profiles" / "counted.toml").write_text(_PROFILE)
        parts = self.city.parts
        self.city.parts = {name: parts[name] for name in ("mongod", "mqtt")}
        self.city.parts["broker"] = self.city.role("broker", settings=_PATIENCE)
        for name in AGENTS:
            self.city.parts[name] = self.city.role("agent", name, _SETTINGS)

    async def run(self, measures: int, seed: int, rate: float) -> Verdict:
        """Publish while parts are struck, bring everything back, wait for what is stored and judge."""
        per_device = measures // (len(KINDS) * DEVICES)
        publishers: list[Process] = []
        try:
            await asyncio.to_thread(self.city.start, *_PARTS)
            start = self._position()
            chaos = Chaos(self.city, seed, _TARGETS, AGENTS)
            started_s = time.monotonic()
            publishers = [self._publisher(kind, per_device, rate / len(KINDS)) for kind in KINDS]
            striking = asyncio.create_task(chaos.run())
            await until(lambda: not any(one.alive for one in publishers), within_s=36_000, every_s=0.2)
            publishing_s = time.monotonic() - started_s
            striking.cancel()
            await asyncio.gather(striking, return_exceptions=True)
            await asyncio.to_thread(self.city.restore)
            stored = await self._settled(start, per_device)
            done_s = time.monotonic() - started_s
            reports = [json.loads(one.tail(1)) for one in publishers]
            return self._judge(stored, per_device, reports, chaos, publishing_s, done_s)
        finally:
            for one in publishers:
                one.end()
            await asyncio.to_thread(self.city.stop)

    def _publisher(self, kind: str, per_device: int, rate: float) -> Process:
        options = {name: value for name, value in KINDS[kind].items() if value is not None}
        flags = [name for name, value in KINDS[kind].items() if value is None]
        return self.city.publisher(
            f"publisher-{kind}",
            flags,
            devices=DEVICES,
            count=per_device * DEVICES,
            rate=rate,
            prefix=f"{kind}-",
            **options,
        )

    def _position(self) -> Mapping[str, Any]:
        """Where the change stream stands now."""
        with MongoClient[dict[str, Any]](self.city.mongodb_uri) as client, client["medina"].watch() as stream:
            assert stream.resume_token is not None
            return stream.resume_token

    async def _settled(self, start: Mapping[str, Any], per_device: int) -> dict[str, Arrivals]:
        """Until everything is stored, or nothing more has been for a while."""
        stored: dict[str, Arrivals] = {}
        position, changed_at_s = start, time.monotonic()
        while True:
            found, position = await asyncio.to_thread(self._read, position, stored)
            if found:
                changed_at_s = time.monotonic()
            elif not lost(stored, per_device) or time.monotonic() - changed_at_s > _QUIET_S:
                return stored

    def _read(self, position: Mapping[str, Any], stored: dict[str, Arrivals]) -> tuple[int, Mapping[str, Any]]:
        """Add what has been stored since; how many states there were, and where the stream stands then."""
        count, quiet = 0, 0
        with (
            MongoClient[dict[str, Any]](self.city.mongodb_uri) as client,
            client["medina"]["entities"].watch(resume_after=position, max_await_time_ms=500) as stream,
        ):
            while quiet < _QUIET_READS:
                change = stream.try_next()
                quiet = quiet + 1 if change is None else 0
                for id_, number in () if change is None else _numbers(change):
                    count += 1
                    stored.setdefault(id_, Arrivals()).add(number, 0, 0)
            assert stream.resume_token is not None
            return count, stream.resume_token

    def _judge(
        self,
        stored: Mapping[str, Arrivals],
        per_device: int,
        reports: list[dict[str, Any]],
        chaos: Chaos,
        publishing_s: float,
        done_s: float,
    ) -> Verdict:
        return Verdict(
            sum(report["acknowledged"] for report in reports),
            lost(stored, per_device),
            sum(one.disordered for one in stored.values()),
            sum(one.duplicates for one in stored.values()),
            sum(report["reconnects"] for report in reports),
            round(publishing_s, 1),
            round(done_s, 1),
            chaos.struck,
        )


_QUIET_READS = 4


def _numbers(change: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The entity, and the numbers that one write of it has stored, oldest first."""
    document = change.get("fullDocument")
    if document is None:
        return
    for state, made in unroll(document["_id"], entity(document), changes(document)):
        written = made.event == "created" or any(key == _NUMBERED for _, key, _ in made.attributes)
        if written and _NUMBERED in state.attributes:
            yield state.id, int(state.attributes[_NUMBERED][0]["value"])


def lost(stored: Mapping[str, Arrivals], per_device: int) -> int:
    """How many measures are not there."""
    ids = [f"urn:ngsi-ld:Device:{kind}-{number}" for kind in KINDS for number in range(DEVICES)]
    return sum(len(stored[id_].missing(per_device)) if id_ in stored else per_device for id_ in ids)
