"""A name for each process of a deployment, by which another one on the same machine can tell that it has ended.

`<boot>-<pid namespace>-<pid>-<start>-<random>`: which run of which machine, which container there, which process, and
when it started. So whoever is started in place of a process that was killed need not wait for its lease to run out.
"""

import os
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex

_PROC = Path("/proc")
_AFTER_THE_COMMAND = ")"
_STATE, _START = 0, 19
"""Fields of /proc/<pid>/stat behind the command, see proc(5): state, starttime."""


def own_name() -> str:
    """A new name for this process."""
    return f"{_place()}-{os.getpid()}-{_started(os.getpid())}-{token_hex(4)}"


def is_gone(name: str) -> bool:
    """Whether the process of that name has certainly ended; False for those of other machines and containers."""
    place, _, process = name.partition("-")
    namespace, pid, started, _ = process.split("-")
    if f"{place}-{namespace}" != _place() or started == "0":
        return False
    return _started(int(pid)) != started


def _place() -> str:
    """The run of the machine and the process namespace; a random one where that cannot be told."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_bytes()
        return f"{blake2b(boot, digest_size=8).hexdigest()}-{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{token_hex(8)}-0"


def _started(pid: int) -> str:
    """When the process started, in clock ticks since the machine did; "0" if it does not run (any more)."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(_AFTER_THE_COMMAND)[2].split()
    except OSError:
        return "0"
    return "0" if fields[_STATE] in "ZX" else fields[_START]
