"""The trial of `python -m tests.faults`, short: parts are killed at random, nothing is lost or out of order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.trial import Trial, expected
from tests.faults.watches import METERS

UPDATES = 4000


@pytest.mark.timeout(120)
async def test_nothing_is_lost_or_disordered_whatever_is_killed(tmp_path: Path) -> None:
    verdict = await Trial(tmp_path).run(UPDATES, seed=7)
    assert (verdict.updates, verdict.expected) == (UPDATES, expected(UPDATES // METERS))
    assert verdict.struck
    assert (verdict.lost, verdict.disordered) == (0, 0), verdict
