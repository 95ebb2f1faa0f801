"""The trial as a whole, and its verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.end_to_end.city import City
from tests.end_to_end.record import Arrivals, Record
from tests.faults.blows import NOTIFIERS, Chaos
from tests.faults.load import Load
from tests.faults.watches import METERS, RECEIVERS, WATCHES, Watch, meter, meter_id
from tests.waiting import until

_PARTS = ("mongod", "broker", *NOTIFIERS, *RECEIVERS)
_QUIET_S = 30.0


@dataclass(frozen=True)
class Verdict:
    """What became of the notifications. `struck` counts the blows by part; times in seconds."""

    updates: int
    expected: int
    lost: int
    disordered: int
    duplicates: int
    repeated: int
    updating_s: float
    all_notified_after_s: float
    struck: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {**asdict(self), "struck": dict(self.struck)}


class Trial:
    """A city of its own in `folder` with two notifiers and three receivers."""

    def __init__(self, folder: Path) -> None:
        """Nothing is started yet."""
        self.city = City(folder)
        self._records = {name: Record(folder / f"{name}.tsv") for name in RECEIVERS}
        parts = self.city.parts
        self.city.parts = {name: parts[name] for name in ("mongod", "broker", "notifier")}
        self.city.parts[NOTIFIERS[1]] = self.city.role("notifier", NOTIFIERS[1])
        for name, record in self._records.items():
            self.city.parts[name] = self.city.receiver(name, record)

    async def run(self, updates: int, seed: int) -> Verdict:
        """Update while parts are struck, bring everything back, wait for the notifications and judge."""
        per_meter = updates // METERS
        try:
            await asyncio.to_thread(self.city.start, *_PARTS)
            self._prepare()
            load, chaos = Load(self.city.ports["broker"], per_meter), Chaos(self.city, seed)
            started_s = time.monotonic()
            striking = asyncio.create_task(chaos.run())
            await load.run()
            updating_s = time.monotonic() - started_s
            striking.cancel()
            await asyncio.gather(striking, return_exceptions=True)
            await asyncio.to_thread(self.city.restore)
            await self._settled(per_meter)
            done_s = time.monotonic() - started_s
            return self._judge(load, chaos, updating_s, done_s)
        finally:
            await asyncio.to_thread(self.city.stop)

    def _prepare(self) -> None:
        answer = self.city.api("POST", "/entityOperations/create", [meter(number) for number in range(METERS)])
        assert answer.status == 201, answer
        for watch in WATCHES:
            answer = self.city.api("POST", "/subscriptions", watch.body(self.city.ports[watch.receiver]))
            assert answer.status == 201, answer

    async def _settled(self, per_meter: int) -> None:
        """Until as many have arrived as are expected, or none for half a minute."""
        wanted = expected(per_meter)
        seen, seen_at_s = 0, time.monotonic()

        def is_done() -> bool:
            nonlocal seen, seen_at_s
            lines = sum(record.lines() for record in self._records.values())
            if lines != seen:
                seen, seen_at_s = lines, time.monotonic()
                return False
            return (lines >= wanted and not self._lost(per_meter)) or time.monotonic() - seen_at_s > _QUIET_S

        await until(is_done, within_s=3600, every_s=1.0)

    def _arrivals(self) -> dict[str, Arrivals]:
        found: dict[str, Arrivals] = {}
        for record in self._records.values():
            found |= record.arrivals(by_subscription=True)
        return found

    def _lost(self, per_meter: int) -> int:
        arrivals = self._arrivals()
        return sum(
            len(_wanted(watch, number, per_meter) - arrivals[key].seen)
            if (key := f"{watch.id} {meter_id(number)}") in arrivals
            else len(_wanted(watch, number, per_meter))
            for watch in WATCHES
            for number in range(METERS)
        )

    def _judge(self, load: Load, chaos: Chaos, updating_s: float, done_s: float) -> Verdict:
        arrivals = self._arrivals().values()
        return Verdict(
            load.acknowledged,
            expected(load.per_meter),
            self._lost(load.per_meter),
            sum(one.disordered for one in arrivals),
            sum(one.duplicates for one in arrivals),
            load.repeated,
            round(updating_s, 1),
            round(done_s, 1),
            chaos.struck,
        )


def expected(per_meter: int) -> int:
    """Notifications of a trial."""
    return sum(len(_wanted(watch, number, per_meter)) for watch in WATCHES for number in range(METERS))


def _wanted(watch: Watch, number: int, per_meter: int) -> set[int]:
    return {n for n in range(per_meter) if watch.wants(number, n)}
