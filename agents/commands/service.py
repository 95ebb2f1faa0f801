"""Commands: from a notification of the context broker to the device, and from the device's answer to the entity.

notification ─▶ command document ─▶ 2xx        (nothing is taken that is not durable)
document ─▶ dispatcher ─▶ device               (MQTT, HTTP; a polling device fetches its own)
result ─▶ document ─▶ acknowledged             (any agent)
document ─▶ dispatcher ─▶ `_status`, `_info`   (of the entity)
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

import structlog

from agents.commands.base import Commands
from agents.commands.command import NO_INFO, OK, Command, Message, Step
from agents.commands.composition import Composer
from agents.commands.configuration import Configuration
from agents.commands.dispatcher import Dispatcher
from agents.commands.notified import commands_in
from agents.commands.store import CommandStore, Filter
from agents.commands.upkeep import Upkeep, commandables_of, line_of
from agents.conversion import Report
from agents.device import Device
from agents.errors import BrokerUnavailable, NoSuchCommand, StoreUnavailable
from agents.measure import CONFIGURATION
from agents.metrics import Metrics
from agents.provisioning.commanded import commanded
from agents.provisioning.directory import Directory
from agents.registry import Registry
from agents.specification import DeviceSpec
from agents.tasks import end

log = structlog.get_logger(__name__)

JOINING_COUNT = 10_000
"""Devices that have just joined a group and are not entered yet; the sweep at the next start finds those beyond."""
MEND_S = 10.0
THOROUGHLY_EVERY = 30
"""Every so many times it is looked whether the context broker still has the subscriptions."""
PAUSE_S = 0.5


class Connection(Protocol):
    """Something that is opened before the work and closed after it."""

    async def open(self) -> None:
        """Open it."""

    async def close(self) -> None:
        """Close it."""


class RunningCommands(Commands):
    """The commands of all devices; its state is in the store, so any agent can do any part of the work."""

    def __init__(
        self,
        store: CommandStore,
        dispatcher: Dispatcher,
        upkeep: Upkeep,
        configuration: Configuration,
        registry: Registry,
        directory: Directory,
        metrics: Metrics,
        connections: Sequence[Connection],
        *,
        expires_s: float,
    ) -> None:
        """`connections` are opened and closed with it."""
        self._connections = connections
        self._store = store
        self._dispatcher = dispatcher
        self._upkeep = upkeep
        self._configuration = configuration
        self._registry = registry
        self._directory = directory
        self._metrics = metrics
        self._composer = Composer(directory, expires_s)
        self._joining: deque[DeviceSpec] = deque(maxlen=JOINING_COUNT)
        self._sweep_wanted = True
        self._upkeep_wanted = asyncio.Event()

    async def run(self) -> None:
        """See Commands. Until cancelled."""
        for connection in self._connections:
            await connection.open()
        preparing = asyncio.create_task(self._prepare())
        parts: list[asyncio.Task[None]] = []
        try:
            await asyncio.wait([preparing])
            parts = [asyncio.create_task(self._dispatcher.run()), asyncio.create_task(self._keep_up())]
            await asyncio.gather(*parts)
        finally:
            for part in parts:
                part.cancel()
            await end([preparing, *parts[1:]])
            await asyncio.gather(*parts, return_exceptions=True)
            self._configuration.stop()
            for connection in self._connections:
                await connection.close()

    async def _prepare(self) -> None:
        while True:
            try:
                await self._store.prepare()
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_S)
            else:
                return

    # from the context broker

    async def notified(self, tenant: str, notification: object) -> int:
        """Take the commands of a notification; how many are new. `StoreUnavailable`, `WrongShape`."""
        now = datetime.now(UTC)
        asked = commands_in(notification, tenant, now)
        if not asked:
            return 0
        found = await self._store.find(tenant, {(each.entity_id, each.name) for each in asked})
        commands = [
            await self._composer.compose(each, found[each.entity_id, each.name])
            for each in asked
            if (each.entity_id, each.name) in found
        ]
        new = await self._store.add(commands)
        for event, count in (
            ("taken", new),
            ("redelivered", len(commands) - new),
            ("no-device", len(asked) - len(commands)),
        ):
            self._metrics.commands.labels(event).inc(count)
        if new:
            self._dispatcher.wake()
        return new

    # from the devices

    async def settle(self, report: Report) -> None:
        """See Commands. Waits for MongoDB: a result is not acknowledged before it is durable."""
        device, measure = report.device, report.measure
        if measure.kind == CONFIGURATION:
            self._configuration.ask(device, measure)
            return
        names = {command.name for command in device.spec.commands}
        if not names.issuperset(measure.values):
            unknown = next(name for name in measure.values if name not in names)
            raise NoSuchCommand(f"device {device.id} has no command {unknown[:100]}")
        for name, value in measure.values.items():
            await self._settle(device, name, value)
        self._dispatcher.wake()

    async def _settle(self, device: Device, name: str, value: object) -> None:
        now = datetime.now(UTC)
        unasked = Command(
            id=f"urn:ngsi-ld:Command:{uuid4().hex}",
            line=line_of(device.spec),
            target=device.target,
            entity_id=device.entity_id,
            entity_type=device.entity_type,
            name=name,
            dataset="",
            value=None,
            message=Message("poll"),
            issued_at=now,
            deadline=now,
            status=OK,
            info=NO_INFO if value is None else value,
            is_cleared=True,
            history=[Step(now, OK, "a result nobody has asked for")],
        )
        while True:
            try:
                verdict = await self._store.settle(unasked, now)
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_S)
            else:
                break
        self._metrics.commands.labels(verdict).inc()

    async def poll(self, device: Device, *, distinct: bool) -> Sequence[tuple[str, object]]:
        """See Commands."""
        if not device.spec.commands:
            return ()
        polled = await self._store.poll(line_of(device.spec), datetime.now(UTC), distinct=distinct)
        if polled:
            self._metrics.commands.labels("delivered").inc(len(polled))
            self._dispatcher.wake()
        return [(command.name, command.value) for command in polled]

    # which devices there are

    async def provisioned(self, spec: DeviceSpec) -> None:
        """See Commands. Returns when the entity has the attributes, unless the context broker is away."""
        await self._attempted(spec, self._upkeep.provisioned(spec))

    async def removed(self, spec: DeviceSpec) -> None:
        """See Commands."""
        await self._attempted(spec, self._upkeep.removed(spec))

    def joined(self, spec: DeviceSpec) -> None:
        """See Commands."""
        if spec.commands:
            self._joining.append(spec)
            self._upkeep_wanted.set()

    def regrouped(self) -> None:
        """See Commands."""
        self._sweep_wanted = True
        self._upkeep_wanted.set()

    async def _attempted(self, spec: DeviceSpec, work: Awaitable[None]) -> None:
        try:
            await work
        except StoreUnavailable as error:
            log.warning("commands of a device are entered later", device=spec.id, why=str(error))
            self.regrouped()

    async def _keep_up(self) -> None:
        """Enter devices that join, and mend what could not be done at its time."""
        await self._directory.is_loaded.wait()
        count = 0
        while True:
            self._upkeep_wanted.clear()
            while self._joining:
                await self.provisioned(self._joining.popleft())
            if self._sweep_wanted:
                self._sweep_wanted = False
                await self._sweep()
            if self._dispatcher.leads:
                await self._mended(thoroughly=count % THOROUGHLY_EVERY == 0)
                count += 1
            try:
                await asyncio.wait_for(self._upkeep_wanted.wait(), MEND_S if count else PAUSE_S)
            except TimeoutError:
                continue

    async def _sweep(self) -> None:
        """Compare what is entered with what is provisioned."""
        try:
            entered = dict(await self._store.entered())
            every = bool(entered)
            async for spec in commanded(self._directory, self._registry.profiles, every=every):
                if set(entered.pop(line_of(spec), ())) != set(commandables_of(spec)):
                    await self.provisioned(spec)
            for line in entered:
                found = await self._directory.store.look_up([(line.apikey, line.device)])
                if not any(record.identity.name == line.device for record in found.devices):
                    await self._upkeep.dropped(line)
        except StoreUnavailable as error:
            log.warning("commands are not compared with devices yet", why=str(error))
            self._sweep_wanted = True

    async def _mended(self, *, thoroughly: bool) -> None:
        try:
            await self._upkeep.mend(thoroughly=thoroughly)
        except (StoreUnavailable, BrokerUnavailable) as error:
            log.warning("commands are not ready at the context broker", why=str(error))

    # for operators

    async def list(self, wanted: Filter, limit: int, offset: int) -> tuple[int, Iterable[Command]]:
        """Return how many commands there are, and some, newest first. `StoreUnavailable`."""
        return await self._store.list(wanted, limit, offset)
