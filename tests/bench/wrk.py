"""HTTP load by wrk (https://github.com/wg/wrk), which outruns any server under test; scripts in Lua."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from tests.bench.errors import BenchError, WrkMissing

CONNECTIONS = 32
_REPORT = """
done = function(summary, latency, requests)
  local failed = summary.errors
  io.write(string.format('{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed.status,
    failed.connect + failed.read + failed.write + failed.timeout))
end
"""


@dataclass(frozen=True)
class Answered:
    """Requests answered in `seconds`; latencies in ms; `failed` had a status over 399 or no answer."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def rate(self) -> float:
        """Successful requests per second."""
        return (self.requests - self.failed) / self.seconds


def require() -> str:
    """Path of wrk; WrkMissing otherwise."""
    path = shutil.which("wrk")
    if path is None:
        raise WrkMissing("wrk makes the load of these scenarios and is not installed (Debian: apt-get install wrk)")
    return path


def run(url: str, script: str, seconds: float, connections: int = CONNECTIONS) -> Answered:
    """Load `url` for `seconds` with one thread of wrk; `script` defines `request`."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + _REPORT)
        file.flush()
        command = [require(), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
        ended = subprocess.run([*command, "-s", file.name, url], check=False, capture_output=True, text=True)
    if ended.returncode or '"requests"' not in ended.stdout:
        raise BenchError(f"wrk failed: {ended.stdout}{ended.stderr}")
    report = json.loads(ended.stdout.splitlines()[-1])
    return Answered(
        report["requests"],
        report["duration_us"] / 1e6,
        report["p50_us"] / 1e3,
        report["p99_us"] / 1e3,
        report["refused"] + report["broken"],
    )


def lua_string(value: str) -> str:
    """`value` as a long string of Lua, in which nothing needs an escape."""
    assert "]==]" not in value
    return f"[==[{value}]==]"


def lua_headers(headers: dict[str, str]) -> str:
    """A table of headers."""
    return "{" + ",".join(f"[ {lua_string(name)} ] = {lua_string(value)}" for name, value in headers.items()) + "}"
