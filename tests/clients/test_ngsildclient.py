"""PyPI's ngsildclient, as a pilot developer uses it, against a running Medina."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.city import City

_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = ".venv-clients"
_GROUPS = ("single_entities", "batches", "queries", "subscriptions", "contexts", "deletion_by_query")


@pytest.fixture(scope="module")
def clients_python() -> Path:
    """The interpreter that has the clients; `make test` has made it, and a bare pytest makes it here."""
    making = ["make", "--silent", f"{_ENVIRONMENT}/installed"]
    made = subprocess.run(making, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return _ROOT / _ENVIRONMENT / "bin" / "python"


@pytest.fixture
def medina(tmp_path: Path) -> Iterator[City]:
    """The context API and the notifier, with a database of their own."""
    city = City(tmp_path)
    try:
        city.start("mongod", "broker", "notifier")
        yield city
    finally:
        city.stop()


def test_every_call_of_ngsildclient_works_with_and_without_a_tenant(clients_python: Path, medina: City) -> None:
    script = Path(__file__).with_name("ngsildclient_calls.py")
    command = [str(clients_python), str(script), "--port", str(medina.ports["broker"])]

    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    for tenant in ("settat", None):
        for group in _GROUPS:
            assert f"{tenant}: {group}" in done.stdout.splitlines()
