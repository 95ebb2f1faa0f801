"""Make .venv and install Medina into it: `python3 .ci/install.py embedded|dev`. Called by the Makefile.

Needs nothing but the standard library. Says what it does in words; the whole output of pip is in .venv/install.log.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
NO_VENV = """\
{python} cannot make virtual environments on this machine. On Debian and Ubuntu install the missing part with
    apt install python3-venv
and run make again."""


def say(text: str) -> None:
    """A line for the person who waits."""
    print(text, flush=True)


def works() -> bool:
    """Whether .venv has an interpreter that runs, is recent enough, and has pip."""
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([str(PYTHON), "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    """Make .venv, or make it anew when it belongs to a Python that is gone."""
    if works():
        return
    say(f"Making .venv with {sys.executable} ({sys.version.split()[0]}) ...")
    venv = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if not quietly(venv) or not works():
        # Debian without python3-venv: the pip of the system, if there is one, can put a pip into .venv.
        pip = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "pip"]
        if not quietly([*venv, "--without-pip"]) or not quietly(pip) or not works():
            sys.exit(NO_VENV.format(python=sys.executable))


def quietly(command: list[str]) -> bool:
    """Whether a command succeeds."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def short(words: list[str]) -> str:
    """What pip downloads, as name, version and size: "orjson 3.11.0 (130 kB)"."""
    name, version = (words[0].rpartition("/")[2].removesuffix(".tar.gz") + "-").split("-")[:2]
    return " ".join([name, version, *words[1:]])


def install(extra: str) -> None:
    """pip install, showing the name of each package as it is fetched."""
    say(f"Installing Medina with what it needs ({extra}); the first time takes one to three minutes ...")
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--editable", f"{ROOT}[{extra}]"]
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as pip,
    ):
        for line in pip.stdout or ():
            log.write(line)
            words = line.split()
            if words[:1] == ["Downloading"]:
                say("  fetching " + short(words[1:]))
            elif line.startswith("Installing collected"):
                say("  unpacking ...")
    if pip.returncode:
        tail = "".join(LOG.read_text(encoding="utf-8").splitlines(keepends=True)[-15:])
        sys.exit(f"{tail}\nInstalling failed; the whole output is in {LOG}. Is the package index reachable?")


def main(extra: str) -> None:
    """Install the extra and remember that it was done."""
    began = time.monotonic()
    make_venv()
    install(extra)
    for done in ["embedded"] if extra == "embedded" else ["embedded", extra]:
        (VENV / f"installed-{done}").touch()
    say(f"Installed in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main(sys.argv[1])
