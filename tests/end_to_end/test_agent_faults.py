"""The trial of `python -m tests.faults agents`, short: two agents and all around them are struck at random."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.measures import Trial

MEASURES = 6000


@pytest.mark.timeout(150)
async def test_every_measure_is_stored_once_and_in_order_whatever_is_killed(tmp_path: Path) -> None:
    verdict = await Trial(tmp_path).run(MEASURES, seed=7, rate=800)
    assert verdict.measures == MEASURES
    assert verdict.struck
    assert (verdict.lost, verdict.disordered, verdict.duplicates) == (0, 0, 0), verdict
