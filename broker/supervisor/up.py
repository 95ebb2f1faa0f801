"""`medina up`: claim the data folder, start the roles as early as each can, watch them, stop them in order."""

import asyncio
import errno
import os
import signal
import time
from collections.abc import Sequence
from typing import Final

from broker.storage.mongo_replica import check_replica_set, shown
from broker.supervisor import roles as role_table
from broker.supervisor.console import Screen
from broker.supervisor.errors import PortTaken, StartError
from broker.supervisor.folder import DataFolder, claimed
from broker.supervisor.probes import check_mqtt, why_not_free
from broker.supervisor.process import Member
from broker.supervisor.roles import Role
from broker.supervisor.settings import UpSettings, check_every_role, without_effect

SERVER_WITHIN_S: Final = 3.0
LOOK_EVERY_S: Final = 2.0
STOP_ORDER: Final = ("simulate", "agent", "pilot", "broker", "notifier", "mqtt", "mongod")
CONTEXT_LINK: Final = '<https://medina.example/campus/context.jsonld>; rel="http://www.w3.org/ns/json-ld#context"'


def run() -> int:
    """Run everything until SIGINT or SIGTERM; gives the exit code. Raises StartError."""
    settings = UpSettings()
    with Screen() as screen, claimed(settings.data, screen.say) as folder:
        for line in without_effect(os.environ):
            screen.say(line)
        asyncio.run(Supervisor(settings, folder, screen).run())
    return 0


class Supervisor:
    """Starts, watches and stops the roles of one data folder."""

    def __init__(self, settings: UpSettings, folder: DataFolder, screen: Screen) -> None:
        self._settings = settings
        self._folder = folder
        self._screen = screen
        self._environment = role_table.environment(settings, folder)
        self._members: list[Member] = []
        self._began = time.monotonic()

    async def run(self) -> None:
        """Start, watch until a signal comes, stop."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        work = asyncio.create_task(self._start_and_watch())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            stopping.cancel()
            if stop.is_set():
                self._screen.say("Stopping …")
            await self._stop_all()
        if not work.cancelled() and work.done() and (problem := work.exception()):
            raise problem
        self._screen.say(f"Stopped. The next start goes on with the data in\n{self._folder.path}")

    async def _start_and_watch(self) -> None:
        servers = role_table.servers(self._settings, self._folder)
        applications = role_table.applications(self._settings)
        self._check_ports([*servers, *applications])
        await self._check_given_servers()
        check_every_role()
        await self._start(servers)
        await self._start(applications)
        if self._settings.demo:
            await self._start([role_table.simulator()])
        for line in self._summary():
            self._screen.say(line)
        while True:
            await asyncio.gather(*(member.look() for member in self._members))
            self._screen.show(self._members)
            await asyncio.sleep(LOOK_EVERY_S)

    def _check_ports(self, roles: Sequence[Role]) -> None:
        chosen: dict[int, str] = {}
        for role in roles:
            host = self._settings.host if role.name not in ("mongod", "mqtt") else "127.0.0.1"
            for port, variable in ((role.port, role.port_variable), *role.further_ports):
                if (first := chosen.setdefault(port, variable)) != variable:
                    raise StartError(f"{first} and {variable} are both {port}: give each a port of its own.")
                if problem := why_not_free(host, port):
                    raise _not_free(problem, host, port, role.title, variable)

    async def _check_given_servers(self) -> None:
        if self._settings.mongodb_uri:
            await asyncio.to_thread(check_replica_set, self._settings.mongodb_uri, SERVER_WITHIN_S)
            self._screen.say(f"Using MongoDB at {shown(self._settings.mongodb_uri)}")
        if self._settings.mqtt_url:
            await asyncio.to_thread(check_mqtt, self._settings.mqtt_url, SERVER_WITHIN_S)
            self._screen.say(f"Using the MQTT broker at {shown(self._settings.mqtt_url)}")

    async def _start(self, roles: Sequence[Role]) -> None:
        """Start roles at once and return when every one is ready."""
        members = [Member(role, self._folder, self._environment, self._screen.say) for role in roles]
        self._members += members
        for member in members:
            member.start()
        self._screen.show(self._members)
        await asyncio.gather(*(self._see_ready(member) for member in members))

    async def _see_ready(self, member: Member) -> None:
        await member.ready()
        self._screen.show(self._members)

    async def _stop_all(self) -> None:
        for name in STOP_ORDER:
            for member in self._members:
                if member.role.name == name:
                    await member.stop()
                    self._screen.show(self._members)

    def _summary(self) -> list[str]:
        """What to open and to try; each line but that of the Link header fits a terminal of 80 columns."""

        def at(port: int) -> str:
            return f"http://{self._settings.local_host}:{port}"

        seconds = time.monotonic() - self._began
        return [
            "",
            f"Medina is up after {seconds:.1f} s. Ctrl-C stops it. Data and logs are in",
            str(self._folder.path),
            "",
            f"  Pilot page        {at(self._settings.pilot_port)}",
            f"  Context API       {at(self._settings.port)}/docs",
            f"  Devices' API      {at(self._settings.agent_port)}/docs",
            f"  MQTT devices      {shown(self._environment['MQTT_URL'])}",
            f"  HTTP devices      {at(self._settings.south_port)}/iot/json",
            "",
            "Try, in another terminal:",
            "",
            f"curl '{at(self._settings.port)}/ngsi-ld/v1/entities?type=Zone&format=simplified' \\",
            f"  -H 'Link: {CONTEXT_LINK}'",
            "",
        ]


def _not_free(problem: OSError, host: str, port: int, title: str, variable: str) -> StartError:
    if problem.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port} on {host} is taken by another program, and the {title} needs it. Stop that program, or "
            f"choose another port with {variable}, e.g. {variable}={port + 100} medina up."
        )
    return StartError(
        f"The {title} cannot listen on {host}:{port} ({problem.strerror}). Choose an address of this machine with "
        f"MEDINA_HOST, or another port with {variable}."
    )
