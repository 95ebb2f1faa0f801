"""What the intake and the provisioning API ask of whoever runs the commands."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from agents.conversion import Report
from agents.device import Device
from agents.errors import NoSuchCommand
from agents.specification import DeviceSpec


class Commands(ABC):
    """The commands of all devices. Its methods may wait for a database; none is called in parallel with itself."""

    @abstractmethod
    async def settle(self, report: Report) -> None:
        """Take a result or a request of a device; returns when it is durable, so that it may be acknowledged.

        `MeasureError` when it cannot be taken: the message is then rejected with that reason.
        """

    @abstractmethod
    async def poll(self, device: Device, *, distinct: bool) -> Sequence[tuple[str, object]]:
        """Return (name, value) of the commands that wait for a polling device, oldest first; they are delivered then.

        `distinct`: of each name the oldest only, because the answer is a JSON object; others wait for the next poll.
        """

    @abstractmethod
    async def provisioned(self, spec: DeviceSpec) -> None:
        """Learn that a device is known from now on, or otherwise than before."""

    @abstractmethod
    async def removed(self, spec: DeviceSpec) -> None:
        """Learn that a device is not known any more."""

    @abstractmethod
    def joined(self, spec: DeviceSpec) -> None:
        """Learn that a device has joined its group by speaking."""

    @abstractmethod
    def regrouped(self) -> None:
        """Learn that a group has come, changed or gone, so that its devices may have other commands."""

    async def run(self) -> None:
        """Do what is to be done beside the calls; for ever."""
        await asyncio.Event().wait()

    def checks(self) -> Mapping[str, str | None]:
        """Why it cannot work now, by what is missing; None if it can."""
        return {}


class NoCommands(Commands):
    """An agent without commands."""

    async def settle(self, report: Report) -> None:
        """See Commands: every result is refused."""
        raise NoSuchCommand("this agent runs no commands")

    async def poll(self, device: Device, *, distinct: bool) -> Sequence[tuple[str, object]]:
        """See Commands: none waits."""
        return ()

    async def provisioned(self, spec: DeviceSpec) -> None:
        """See Commands."""

    async def removed(self, spec: DeviceSpec) -> None:
        """See Commands."""

    def joined(self, spec: DeviceSpec) -> None:
        """See Commands."""

    def regrouped(self) -> None:
        """See Commands."""
