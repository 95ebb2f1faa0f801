"""`python -m tests.faults [--updates N] [--seed N]`: the trial at full length; exit code 1 when anything was lost."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import orjson

from tests.faults.trial import Trial

REPORT = Path("build/faults.json")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--updates", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="folder for logs and data (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medina-faults-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        verdict = asyncio.run(Trial(folder).run(arguments.updates, arguments.seed))
    report = orjson.dumps({"seed": arguments.seed, **verdict.as_json()}, option=orjson.OPT_INDENT_2)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_bytes(report)
    sys.stdout.write(f"{report.decode()}\nwritten to {REPORT}\n")
    sys.exit(1 if verdict.lost or verdict.disordered else 0)


if __name__ == "__main__":
    main()
