"""`python -m tests.faults [notifiers|agents] [--updates N] [--seed N]`: a trial at full length.

Exit code 1 when anything was lost or out of order (agents: or stored twice).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import orjson

from tests.faults import measures
from tests.faults.trial import Trial, Verdict

REPORT = Path("build/faults.json")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("trial", nargs="?", choices=("notifiers", "agents"), default="notifiers")
    parser.add_argument("--updates", type=int, default=0, help="or measures (default 100,000, agents 200,000)")
    parser.add_argument("--rate", type=float, default=1000, help="measures a second (agents)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="folder for logs and data (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medina-faults-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        verdict = asyncio.run(_judged(arguments, folder))
    report = orjson.dumps(
        {"trial": arguments.trial, "seed": arguments.seed, **verdict.as_json()}, option=orjson.OPT_INDENT_2
    )
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(report)
    sys.stdout.write(f"{report.decode()}\nwritten to {REPORT}\n")
    is_stored_twice = isinstance(verdict, measures.Verdict) and verdict.duplicates
    sys.exit(1 if verdict.lost or verdict.disordered or is_stored_twice else 0)


async def _judged(arguments: argparse.Namespace, folder: Path) -> Verdict | measures.Verdict:
    if arguments.trial == "agents":
        return await measures.Trial(folder).run(arguments.updates or 200_000, arguments.seed, arguments.rate)
    return await Trial(folder).run(arguments.updates or 100_000, arguments.seed)


if __name__ == "__main__":
    main()
