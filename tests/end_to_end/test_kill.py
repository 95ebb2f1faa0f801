"""Whatever dies while measures flow, each acknowledged one is stored and notified, in order per device and entity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import pytest

from tests.end_to_end.city import City, published
from tests.end_to_end.process import Process
from tests.waiting import until_sync

RATE_PER_S = 500
DEVICES = 50
FLOWING = 750  # notifications that show that everything is under way
DONE_WITHIN_S = 60


@dataclass(frozen=True)
class Blow:
    """How a part goes down, for how long, and how long measures flow in all."""

    part: str
    strike: Callable[[Process], object]
    down_s: float = 0.5
    flow_s: int = 6

    @property
    def count(self) -> int:
        """Measures of the whole test."""
        return self.flow_s * RATE_PER_S


BLOWS = [
    Blow("agent", Process.kill),
    Blow("broker", Process.kill),
    Blow("notifier", Process.kill),
    Blow("mongod", Process.kill),
    Blow("mqtt", Process.stop),
    Blow("receiver", Process.kill, down_s=20, flow_s=24),
]


@pytest.mark.timeout(150)
@pytest.mark.parametrize("blow", BLOWS, ids=lambda blow: blow.part)
def test_no_acknowledged_measure_is_lost_or_disordered(city: City, blow: Blow) -> None:
    prefix = f"{blow.part}-down-"
    city.subscribe("Device")
    publisher = city.publisher(prefix=prefix, devices=DEVICES, count=blow.count, rate=RATE_PER_S)
    try:
        _strike(city, blow)
        report = published(publisher, DONE_WITHIN_S + blow.flow_s)
        assert report["acknowledged"] == blow.count
        until_sync(lambda: _missing(city, prefix, blow.count) == {}, DONE_WITHIN_S, every_s=0.2)
    except AssertionError:
        pytest.fail(f"missing: {_missing(city, prefix, blow.count)}; the agent's metrics: {city.metrics('agent')}")
    finally:
        publisher.end()
    _check_order_and_state(city, prefix, blow.count)


def _strike(city: City, blow: Blow) -> None:
    until_sync(lambda: city.record.lines() >= FLOWING, within_s=20)
    blow.strike(city.parts[blow.part])
    back_at = monotonic() + blow.down_s
    until_sync(lambda: monotonic() >= back_at, within_s=blow.down_s + 1)
    city.start(blow.part)


def _entity(prefix: str, device: int) -> str:
    return f"urn:ngsi-ld:Device:{prefix}{device}"


def _missing(city: City, prefix: str, count: int) -> dict[str, list[int]]:
    """Numbers not notified, by entity."""
    arrivals = city.record.arrivals()
    wanted = count // DEVICES
    entities = [_entity(prefix, device) for device in range(DEVICES)]
    missing = {one: arrivals[one].missing(wanted) if one in arrivals else list(range(wanted)) for one in entities}
    return {one: numbers for one, numbers in missing.items() if numbers}


def _check_order_and_state(city: City, prefix: str, count: int) -> None:
    arrivals = city.record.arrivals()
    stored = city.devices()
    for device in range(DEVICES):
        entity = _entity(prefix, device)
        assert arrivals[entity].disordered == 0, f"{entity}: first occurrences out of order"
        assert stored[entity]["n"] == count // DEVICES - 1
