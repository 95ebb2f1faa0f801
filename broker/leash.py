"""Run a program that ends with the process that started it, however that one ends.

Used as a script, `python -IS leash.py PARENT_PID PROGRAM ARGUMENT …`: it asks the kernel (Linux, prctl(2)
PR_SET_PDEATHSIG) to send SIGTERM when the parent is gone, then becomes the program. So a SIGKILL of `medina up` leaves
nothing behind, and MongoDB and the MQTT broker still save their state. On other systems it only becomes the program.
It imports nothing but the standard library, because it runs before every role.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def leashed(command: list[str]) -> list[str]:
    """The command line that runs `command` bound to the life of this process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _bind_to_parent(parent: int) -> None:
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was in place
        sys.exit(1)


if __name__ == "__main__":
    _bind_to_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming the program given is what this script is for
