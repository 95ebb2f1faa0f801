"""Servers of the test session: real ones, embedded, or in containers (MEDINA_TEST_CONTAINERS=1 and a Docker engine)."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from itertools import cycle
from pathlib import Path
from random import SystemRandom
from tempfile import gettempdir

import pytest
from hypothesis import HealthCheck, settings

from broker.embedded import running_mongod, running_mqtt
from broker.storage.mongo_replica import become_primary
from tests.driver import close_sockets_of_broken_off_connects
from tests.waiting import until_sync

# The receivers of the tests listen on this machine; what is refused by default has tests of its own.
os.environ.setdefault("MEDINA_NOTIFY_ADDRESSES", "any")
close_sockets_of_broken_off_connects()
# How long examples take tells of the machine, which has more to do than one test.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


# Not of the system's choice: it gives those to every connection, also between the choice and the server's start.
_PORTS = range(10_000, 32_000)
_BLOCK = 500
_claimed: set[int] = set()


def _ports_of_this_process() -> Iterator[int]:
    """Each port of its own blocks in turn, for ever; where it begins is chance, as other users may run tests, too."""
    blocks = list(_PORTS[::_BLOCK])
    begin = SystemRandom().randrange(len(blocks))
    for block in cycle([*blocks[begin:], *blocks[:begin]]):
        if _is_own(block):
            yield from range(block, block + _BLOCK)


def _is_own(block: int) -> bool:
    """Whether no other process of tests on this machine takes ports of this block, as long as this one lives."""
    if block not in _claimed:
        with suppress(OSError):
            descriptor = os.open(Path(gettempdir()) / f"medina-test-ports-{block}", os.O_WRONLY | os.O_CREAT)
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise
            _claimed.add(block)
    return block in _claimed


_ports = _ports_of_this_process()


def unused_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, nor will unless a test makes it; another one at each call."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the ports never end")


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that gives a port of 127.0.0.1 on which nothing listens; another one at each call."""
    return unused_port


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a MongoDB replica set of one."""
    with ExitStack() as stack:
        if _containers_wanted():
            yield stack.enter_context(_mongo_container())
        else:
            yield stack.enter_context(running_mongod(tmp_path_factory.mktemp("mongod"), unused_port()))


@pytest.fixture(scope="session")
def mqtt_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an MQTT broker that accepts anonymous clients."""
    with ExitStack() as stack:
        if _containers_wanted():
            yield stack.enter_context(_mosquitto_container(tmp_path_factory.mktemp("mosquitto")))
        else:
            yield stack.enter_context(running_mqtt(tmp_path_factory.mktemp("mqtt"), unused_port()))


def _containers_wanted() -> bool:
    if os.environ.get("MEDINA_TEST_CONTAINERS") != "1":
        return False
    import docker

    try:
        docker.from_env().ping()
    except docker.errors.DockerException:
        return False
    return True


@contextmanager
def _mongo_container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer

    server = DockerContainer("mongo:8").with_command("--replSet medina").with_exposed_ports(27017)
    with server as container:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(27017))
        become_primary(port, within_s=60, address="127.0.0.1:27017", host=host)
        # The member's address is the container's own, so clients must not follow it.
        yield f"mongodb://{host}:{port}/?directConnection=true"


@contextmanager
def _mosquitto_container(folder: Path) -> Iterator[str]:
    from testcontainers.core.container import DockerContainer

    configuration = folder / "mosquitto.conf"
    configuration.write_text("listener 1883\nallow_anonymous true\nmax_queued_messages 1000000\n", encoding="utf-8")
    server = DockerContainer("eclipse-mosquitto:2").with_exposed_ports(1883)
    server.with_volume_mapping(str(configuration), "/mosquitto/config/mosquitto.conf")
    with server as container:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(1883))

        def listening() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex((host, port)) == 0

        until_sync(listening, within_s=30)
        yield f"mqtt://{host}:{port}"
