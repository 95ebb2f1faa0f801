"""`medina simulate campus`: play the plan to an MQTT broker at the speed asked for."""

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.console import Console

from pilots.campus.simulator.day import Plan, play
from pilots.campus.simulator.journeys import DAY_S
from pilots.campus.simulator.outlet import MqttOutlet
from pilots.campus.simulator.report import Report
from pilots.errors import BadSettings, MqttUnavailable
from pilots.simulation import SimulationOptions

STOP_WITHIN_S: Final = 3.0


def run(options: SimulationOptions) -> None:
    """Play until the day is over (with `loop`: until stopped). Raises BadSettings, MqttUnavailable."""
    plan = plan_of(options, datetime.now(UTC))
    if options.dry_run:
        _print(plan)
        return
    console = Console(soft_wrap=True)
    with MqttOutlet(options.mqtt_url) as outlet, _stopped_by_signals() as stop:
        with Report(console, plan.day_s) as report:
            perform(plan, None if options.loop else 1, outlet, report, stop)
        acknowledged = _drained(outlet, stop)
        report.summary(acknowledged)


def plan_of(options: SimulationOptions, now: datetime) -> Plan:
    """The plan behind the options; played without pauses the day ends now, so that no stamp lies in the future."""
    if options.loop and not math.isfinite(options.speed):
        raise BadSettings("--loop needs a finite --speed: days without pauses would run ahead of the calendar.")
    day_s = DAY_S if options.duration_minutes is None else min(DAY_S, options.duration_minutes * 60)
    begin = now if math.isfinite(options.speed) else now - timedelta(seconds=day_s)
    return Plan(options.seed, options.people, options.start or begin, options.speed, options.clean, day_s)


def perform(plan: Plan, days: int | None, outlet: MqttOutlet, report: Report, stop: threading.Event) -> None:
    """Send every message when it is due, until the days are over or `stop` is set."""
    began = time.monotonic()
    for day, message in play(plan, days):
        due = began + (day * plan.day_s + message.at_s) / plan.speed
        if stop.wait(max(0.0, due - time.monotonic())):
            return
        if message.dirt != "withheld":
            outlet.publish(message.topic, message.payload)
        report.add(day, message)


def _drained(outlet: MqttOutlet, stop: threading.Event) -> bool:
    """Whether all is acknowledged; somebody who pressed Ctrl-C does not wait long for it."""
    if not stop.is_set():
        outlet.drain()
        return True
    try:
        outlet.drain(STOP_WITHIN_S)
    except MqttUnavailable:
        return False
    return True


def _print(plan: Plan) -> None:
    """The messages on standard output, one a line: topic, a tab, payload."""
    for _, message in play(plan):
        if message.dirt != "withheld":
            sys.stdout.buffer.write(message.topic.encode() + b"\t" + message.payload + b"\n")
    sys.stdout.buffer.flush()


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
