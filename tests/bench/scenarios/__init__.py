"""The scenarios, in the order in which they run: a new one is a module here and a line in `ALL`."""

from __future__ import annotations

from tests.bench.scenario import Scenario
from tests.bench.scenarios import batch, create, mapping, measures, notify, query, retrieve, streams, update, watchers

ALL: tuple[Scenario, ...] = (
    retrieve.SCENARIO,
    update.SCENARIO,
    create.SCENARIO,
    batch.SCENARIO,
    query.SCENARIO,
    notify.SCENARIO,
    *streams.LATENCIES,
    measures.SUSTAINED,
    *measures.LATENCIES,
    mapping.SUSTAINED,
    mapping.LATENCY,
    watchers.SCENARIO,
)

WHEN_NAMED: tuple[Scenario, ...] = (query.MILLION,)
"""Those that take too long to run every time."""
