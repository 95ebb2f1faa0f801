"""Where the figures were taken."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from broker.embedded import find_mongod, find_mosquitto


def facts() -> dict[str, str | int]:
    """Cores, processor, versions, time and revision."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _first_line(["git", "rev-parse", "--short", "HEAD"]),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
        "mongod": _first_line([find_mongod(), "--version"]).removeprefix("db version "),
        "mqtt": _first_line([find_mosquitto() or "", "-h"]) or "amqtt",
        "load_average_1min": f"{os.getloadavg()[0]:.2f}",
    }


def _first_line(command: list[str]) -> str:
    if not command[0]:
        return ""
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return output.partition("\n")[0]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
