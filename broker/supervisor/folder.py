"""The data folder of `medina up`: whose it is, who uses it now, and what lies in it.

medina-data/
  .medina            marks the folder as Medina's; locked (flock) while a `medina up` works on it
  logs/<role>.log    output of each role, that of the run before in <role>.log.1
  mongod/  mqtt/     files of the embedded servers
  secrets/           pseudonym.key, made once, readable by the owner only
"""

import fcntl
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.supervisor.errors import AlreadyRunning, DataFolderUnusable

MARKER: Final = ".medina"
CHOOSE_ANOTHER: Final = "Choose another folder with MEDINA_DATA."
FOLDER_VARIABLE: Final = "MEDINA_UP_FOLDER"
LEFTOVERS_WITHIN_S: Final = 10.0
KEY_BYTES: Final = 32
FULL_BELOW_BYTES: Final = 16_000_000


class DataFolder:
    """A folder claimed by this process; made by `claimed`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, role: str) -> Path:
        """The log file of a role."""
        return self.path / "logs" / f"{role}.log"

    def start_log(self, role: str) -> Path:
        """The same, empty: the log of the run before is kept beside it."""
        log = self.log(role)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return log

    def last_line(self, role: str) -> str:
        """The last line that a role wrote, empty when there is none."""
        try:
            lines = self.log(role).read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1] if lines else ""

    @property
    def is_full(self) -> bool:
        """Whether so little room is left on its disk that servers fail."""
        return shutil.disk_usage(self.path).free < FULL_BELOW_BYTES

    @property
    def pseudonym_key(self) -> Path:
        """The file with the key by which agents pseudonymise; the same for the life of the folder."""
        path = self.path / "secrets" / "pseudonym.key"
        if not path.exists():
            write_secret(path, secrets.token_hex(KEY_BYTES) + "\n")
        return path


def write_secret(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, complete or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


@contextmanager
def claimed(path: Path, say: Callable[[str], None] = print) -> Iterator[DataFolder]:
    """The data folder at `path`, made when absent, for this process alone.

    Raises DataFolderUnusable when it cannot be written or is not Medina's, AlreadyRunning when another process has it.
    Waits for processes of a run that was killed (and says so), so that two servers never work on the same files.
    """
    path = path.absolute()
    _check_ownership(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        marker = os.open(path / MARKER, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise _unusable(path, problem) from problem
    try:
        _lock(marker, path)
        _end_leftovers(path, say)
        _make_folders(path)
        yield DataFolder(path)
    finally:
        os.close(marker)


def _check_ownership(path: Path) -> None:
    try:
        foreign = path.exists() and not (path / MARKER).exists() and any(path.iterdir())
    except OSError as problem:
        raise _unusable(path, problem) from problem
    if foreign:
        raise DataFolderUnusable(
            f"The data folder {path} holds files that are not Medina's, and Medina leaves them alone. {CHOOSE_ANOTHER}"
        )


def _lock(marker: int, path: Path) -> None:
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        owner = os.read(marker, 100).decode(errors="replace").strip()
        raise AlreadyRunning(
            f"Another `medina up` (process {owner}) works on the data folder {path}. Stop it first, or {_lower_first()}"
        ) from problem
    os.ftruncate(marker, 0)
    os.write(marker, f"{os.getpid()}\n".encode())


def _lower_first() -> str:
    return CHOOSE_ANOTHER[0].lower() + CHOOSE_ANOTHER[1:]


def _make_folders(path: Path) -> None:
    try:
        (path / "logs").mkdir(exist_ok=True)
        (path / "secrets").mkdir(mode=0o700, exist_ok=True)
    except OSError as problem:
        raise _unusable(path, problem) from problem


def _unusable(path: Path, problem: OSError) -> DataFolderUnusable:
    return DataFolderUnusable(f"The data folder {path} cannot be written: {problem.strerror}. {CHOOSE_ANOTHER}")


def _end_leftovers(path: Path, say: Callable[[str], None]) -> None:
    """Wait for roles of an earlier run to end; they were told to when their parent died."""
    deadline = time.monotonic() + LEFTOVERS_WITHIN_S
    if any(_members(path)):
        say("Waiting for processes of an earlier run to end …")
    while leftovers := list(_members(path)):
        if time.monotonic() > deadline:
            for process in leftovers:
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


def _members(path: Path) -> Iterator[int]:
    """Living processes that a `medina up` on this folder started (Linux; none is seen elsewhere)."""
    mark = f"{FOLDER_VARIABLE}={path}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
