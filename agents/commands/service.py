"""Commands: from a notification of the context broker to the device, and from the device's answer to the entity.

notification ─▶ command document ─▶ 2xx        (nothing is taken that is not durable)
document ─▶ dispatcher ─▶ device               (MQTT, HTTP; a polling device fetches its own)
result ─▶ document ─▶ acknowledged             (any agent)
document ─▶ dispatcher ─▶ `_status`, `_info`   (of the entity)
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

from agents.commands.base import Commands
from agents.commands.command import NO_INFO, OK, Command, Message, Step
from agents.commands.composition import Composer
from agents.commands.configuration import Configuration, Wish, wish_of
from agents.commands.dispatcher import Dispatcher
from agents.commands.following import Following
from agents.commands.keeping import Keeping
from agents.commands.notified import commands_in
from agents.commands.store import CommandStore, Filter
from agents.commands.upkeep import line_of
from agents.conversion import Report
from agents.device import Device
from agents.errors import NoSuchCommand, StoreUnavailable
from agents.measure import CONFIGURATION
from agents.metrics import Metrics
from agents.provisioning.specs import Place
from agents.specification import DeviceSpec
from agents.tasks import end

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
        keeping: Keeping,
        configuration: Configuration,
        following: Following,
        composer: Composer,
        place: Place,
        metrics: Metrics,
        connections: Sequence[Connection],
    ) -> None:
        """`connections` are opened and closed with it."""
        self.place = place
        self._connections = connections
        self._store = store
        self._dispatcher = dispatcher
        self._keeping = keeping
        self._configuration = configuration
        self._following = following
        self._composer = composer
        self._metrics = metrics

    async def run(self) -> None:
        """See Commands. Until cancelled."""
        for connection in self._connections:
            await connection.open()
        preparing = asyncio.create_task(self._prepare())
        parts: list[asyncio.Task[None]] = []
        try:
            await asyncio.wait([preparing])
            works = (self._keeping.run(), self._dispatcher.run(), self._following.run())
            parts = [asyncio.create_task(work) for work in works]
            # Not gather, which cancels them when it is cancelled: a second time would end them while they tidy up.
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            for part in parts:
                part.cancel()
            await end([preparing, *parts[:1]])  # the others tidy up
            await asyncio.gather(*parts, return_exceptions=True)
            self._configuration.stop()
            for connection in self._connections:
                await connection.close()

    async def _prepare(self) -> None:
        while True:
            try:
                await self._store.prepare()
                await self._following.prepare()
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_S)
            else:
                return

    # from the context broker

    async def notified(self, tenant: str, notification: object) -> int:
        """Take the commands of a notification; how many are new. `StoreUnavailable`, `WrongShape`."""
        if isinstance(notification, dict) and await self._following.notified(str(notification.get("subscriptionId"))):
            return 0
        asked = commands_in(notification, tenant, datetime.now(UTC))
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

    async def commanded(self, tenant: str, entity_id: str, attributes: Mapping[str, object]) -> int:
        """Take commands that are written to an entity here, and not at the context broker; how many there are.

        `StoreUnavailable`, `WrongShape`.
        """
        entity = {name: instance for name, instance in attributes.items() if name not in ("id", "type")}
        told = {"id": f"urn:ngsi-ld:Notification:{uuid4().hex}", "data": [{**entity, "id": entity_id}]}
        return await self.notified(tenant, told)

    # from the devices

    async def settle(self, report: Report) -> None:
        """See Commands. Waits for MongoDB: a result is not acknowledged before it is durable."""
        device, measure = report.device, report.measure
        if measure.kind == CONFIGURATION:
            await self._configure(device.spec, wish_of(device, measure))
            return
        names = {command.name for command in device.spec.commands}
        known = [name for name in measure.values if name in names]
        for name in known:
            await self._settle(device, name, measure.values[name])
        if known:
            self._dispatcher.wake()
        if len(known) < len(measure.values):
            unknown = next(name for name in measure.values if name not in names)
            raise NoSuchCommand(f"device {device.id} has no command {unknown[:100]}")

    async def _configure(self, spec: DeviceSpec, wish: Wish) -> None:
        if not wish.follows:
            self._configuration.ask(spec, wish.names)
            return
        while True:
            try:
                await self._following.follow(spec, wish.names)
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_S)
            else:
                return

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
        await self._keeping.provisioned(spec)

    async def removed(self, spec: DeviceSpec) -> None:
        """See Commands."""
        await self._keeping.removed(spec)

    def joined(self, spec: DeviceSpec) -> None:
        """See Commands."""
        self._keeping.joined(spec)

    def regrouped(self) -> None:
        """See Commands."""
        self._keeping.regrouped()

    # for operators

    async def list(self, wanted: Filter, limit: int, offset: int) -> tuple[int, Iterable[Command]]:
        """Return how many commands there are, and some, newest first. `StoreUnavailable`."""
        return await self._store.list(wanted, limit, offset)
