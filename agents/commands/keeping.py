"""Keeps what can be commanded in step with what is provisioned: at once where that can be, else in the next round."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from agents.commands.following import Following
from agents.commands.store import CommandStore
from agents.commands.upkeep import Upkeep, commandables_of, line_of
from agents.errors import BrokerUnavailable, StoreUnavailable
from agents.provisioning.commanded import commanded
from agents.provisioning.directory import Directory
from agents.specification import DeviceSpec

log = structlog.get_logger(__name__)

JOINING_COUNT = 10_000
"""Devices that have just joined a group and are not entered yet; the sweep at the next start finds those beyond."""
MEND_S = 10.0
THOROUGHLY_EVERY = 30
"""Every so many times it is looked whether the context broker still has the subscriptions."""
PAUSE_S = 0.5


class Keeping:
    """See the module. `leads`: whether it is this agent that mends what could not be done at its time."""

    def __init__(
        self,
        store: CommandStore,
        upkeep: Upkeep,
        following: Following,
        directory: Directory,
        leads: Callable[[], bool],
    ) -> None:
        self._store = store
        self._upkeep = upkeep
        self._following = following
        self._directory = directory
        self._leads = leads
        self._joining: deque[DeviceSpec] = deque(maxlen=JOINING_COUNT)
        self._sweep_wanted = True
        self._wanted = asyncio.Event()

    async def provisioned(self, spec: DeviceSpec) -> None:
        """Enter a device; returns when the entity has the attributes, unless the context broker is away."""
        await self._attempted(spec, self._upkeep.provisioned(spec))
        await self._attempted(spec, self._following.provisioned(spec))

    async def removed(self, spec: DeviceSpec) -> None:
        """Forget a device."""
        await self._attempted(spec, self._upkeep.removed(spec))
        await self._attempted(spec, self._following.removed(line_of(spec)))

    def joined(self, spec: DeviceSpec) -> None:
        """Enter a device soon."""
        if spec.commands:
            self._joining.append(spec)
            self._wanted.set()

    def regrouped(self) -> None:
        """Look at all devices soon."""
        self._sweep_wanted = True
        self._wanted.set()

    async def _attempted(self, spec: DeviceSpec, work: Awaitable[None]) -> None:
        try:
            await work
        except StoreUnavailable as error:
            log.warning("commands of a device are entered later", device=spec.id, why=str(error))
            self.regrouped()

    async def run(self) -> None:
        """Enter devices that join, and mend what could not be done at its time; for ever."""
        await self._directory.is_loaded.wait()
        count = 0
        while True:
            self._wanted.clear()
            while self._joining:
                await self.provisioned(self._joining.popleft())
            if self._sweep_wanted:
                self._sweep_wanted = False
                await self._sweep()
            if self._leads():
                await self._mended(thoroughly=count % THOROUGHLY_EVERY == 0)
                count += 1
            try:
                await asyncio.wait_for(self._wanted.wait(), MEND_S if count else PAUSE_S)
            except TimeoutError:
                continue

    async def _sweep(self) -> None:
        """Compare what is entered with what is provisioned."""
        try:
            entered = dict(await self._store.entered())
            every = bool(entered)
            async for spec in commanded(self._directory, every=every):
                if set(entered.pop(line_of(spec), ())) != set(commandables_of(spec)):
                    await self.provisioned(spec)
            for line in entered:
                found = await self._directory.store.look_up([(line.apikey, line.device)])
                if not any(record.identity.name == line.device for record in found.devices):
                    await self._upkeep.dropped(line)
                    await self._following.removed(line)
        except StoreUnavailable as error:
            log.warning("commands are not compared with devices yet", why=str(error))
            self._sweep_wanted = True

    async def _mended(self, *, thoroughly: bool) -> None:
        try:
            await self._upkeep.mend(thoroughly=thoroughly)
            await self._following.mend()
        except (StoreUnavailable, BrokerUnavailable) as error:
            log.warning("commands are not ready at the context broker", why=str(error))
