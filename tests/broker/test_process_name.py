import os
import subprocess
import sys

import pytest

from broker.process_name import is_gone, own_name

NAMED = "from broker.process_name import own_name; print(own_name(), flush=True); input()"


def test_two_names_of_one_process_differ_and_neither_is_gone() -> None:
    names = {own_name(), own_name()}
    assert len(names) == 2
    assert not any(is_gone(name) for name in names)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_is_gone_as_soon_as_it_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        name = process.stdout.readline().decode().strip()
        assert not is_gone(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
        assert is_gone(name)
        process.wait()
        assert is_gone(name)


def test_what_runs_elsewhere_is_never_taken_for_gone() -> None:
    assert not is_gone("0123456789abcdef-4026531836-1-1-aaaaaaaa")
