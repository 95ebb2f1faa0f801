"""S7: QoS 1 measures of 100 devices → MQTT broker → agent → context API → notification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import quantiles

from tests.bench.scenario import Outcome, Scenario
from tests.end_to_end.city import City, published
from tests.waiting import until_sync

PER_SECOND = 3_000  # messages of the sustained load per second of the wanted duration
WARM_UP_MESSAGES = 3_000
DONE_WITHIN_S = 90


@dataclass(frozen=True)
class Fleet:
    """The devices that publish: how many, the type of their entities, and further options of the publisher."""

    devices: int
    entity_type: str
    options: Mapping[str, str] = field(default_factory=dict)


PLAIN = Fleet(100, "Device")


def run(city: City, seconds: float, rate: float = 0, fleet: Fleet = PLAIN) -> Outcome:
    """Publish for about `seconds`, at `rate` or as fast as the MQTT broker takes it; done when all are notified."""
    return measure(city, int(seconds * (rate or PER_SECOND)), rate, fleet)


def measure(city: City, messages: int, rate: float, fleet: Fleet = PLAIN) -> Outcome:
    """Measures per second from the first publication to the last notification; latency from one to the other."""
    messages -= messages % fleet.devices
    subscription = city.subscribe(fleet.entity_type)
    city.record.clear()
    publisher = city.publisher(count=messages, rate=rate, devices=fleet.devices, **fleet.options)
    try:
        published(publisher, DONE_WITHIN_S)
        until_sync(lambda: city.record.lines() >= messages, DONE_WITHIN_S, every_s=0.05)
        return _judge(city, messages, messages // fleet.devices)
    except AssertionError as late:
        return Outcome(0, 0, 0, str(late))
    finally:
        publisher.end()
        city.api("DELETE", f"/subscriptions/{subscription}")


def _judge(city: City, messages: int, per_device: int) -> Outcome:
    arrivals = city.record.arrivals().values()
    times = [time for entity in arrivals for time in entity.first]
    latencies_ms = quantiles([(received - sent) / 1e6 for sent, received in times], n=100)
    duration_s = (max(received for _, received in times) - min(sent for sent, _ in times)) / 1e9
    lost = sum(len(entity.missing(per_device)) for entity in arrivals)
    disordered = sum(entity.disordered for entity in arrivals)
    problem = f"{lost} lost, {disordered} out of order" if lost or disordered else ""
    return Outcome(messages / duration_s, latencies_ms[49], latencies_ms[98], problem)


def _warm_up(city: City) -> None:
    measure(city, WARM_UP_MESSAGES, 0)


SUSTAINED = Scenario("S7", "MQTT → notification, sustained", "measures/s", run, _warm_up, floor="F2", factor=0.2)
LATENCIES = tuple(
    Scenario(
        f"S7@{rate}",
        f"MQTT → notification at {rate}/s",
        "measures/s",
        partial(run, rate=rate),
        lambda city: measure(city, 500, 250),
        p50_limit_ms=limit_ms,
    )
    for rate, limit_ms in ((100, 8.0), (500, 12.0))
)
