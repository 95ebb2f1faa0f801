"""From what an application has written to the command document, with everything that will be sent."""

import asyncio
from datetime import UTC, datetime, timedelta

from agents.commands.command import ERROR, NO_INFO, PENDING, Command, Line, Message, Step
from agents.commands.notified import Asked
from agents.commands.payloads import message_of
from agents.commands.store import Commandable
from agents.errors import MeasureError, NoSuchCommand
from agents.provisioning.directory import Directory
from agents.registry import Key
from agents.specification import DeviceSpec

NEWS_PAUSE_S = 0.05
NEWS_ATTEMPTS_COUNT = 40
"""How often an agent looks whether it has heard of a device that another one has provisioned."""


class Composer:
    """Makes commands."""

    def __init__(self, directory: Directory, expires_s: float) -> None:
        self._directory = directory
        self._expires_s = expires_s

    async def compose(self, asked: Asked, commandable: Commandable) -> Command:
        """Return the command, which is an ERROR if the device cannot be sent it. `StoreUnavailable`.

        Its deadline: what the application says, else the definition of the command, else the agent's setting.
        """
        message, trouble, expires_s = Message("poll"), "", self._expires_s
        try:
            spec = await self._spec(commandable.line, asked.name)
            specified = next(command for command in spec.commands if command.name == asked.name)
            expires_s = specified.expires_s or expires_s
            message = message_of(spec, specified, asked.value)
        except MeasureError as error:
            trouble = str(error)
        status = ERROR if trouble else PENDING
        return Command(
            id=asked.id,
            line=commandable.line,
            target=commandable.kind.target,
            entity_id=asked.entity_id,
            entity_type=commandable.kind.entity_type,
            name=asked.name,
            dataset=asked.dataset,
            value=asked.value,
            message=message,
            issued_at=asked.issued_at,
            deadline=asked.expires_at or asked.issued_at + timedelta(seconds=expires_s),
            status=status,
            info=trouble or NO_INFO,
            history=[Step(datetime.now(UTC), status, trouble or "taken")],
        )

    async def _spec(self, line: Line, name: str) -> DeviceSpec:
        """The device with this command; `NoSuchCommand`.

        Another agent may have provisioned it a moment ago: its news are waited for. Nobody joins a group by being told
        something, so it is not the registry that is asked.
        """
        for _ in range(NEWS_ATTEMPTS_COUNT):
            spec = self._directory.named(Key(*line))
            if spec is not None and any(command.name == name for command in spec.commands):
                return spec
            if not await self._directory.look_up([(line.apikey, line.device)]):
                await asyncio.sleep(NEWS_PAUSE_S)
        raise NoSuchCommand(f"device {line.device} has no command {name[:100]}")
