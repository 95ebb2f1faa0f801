"""Commands for the context broker, which tells of them, and for those who want to know what became of them."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from agents.api.commanding import commanding_router
from agents.api.requests import answer, object_of
from agents.commands.command import Command
from agents.commands.service import RunningCommands
from agents.commands.store import Filter
from agents.errors import StoreUnavailable, WrongShape
from agents.provisioning.errors import RegistryNotAvailable, WrongSyntax
from ngsi.datetimes import system_text

LIMIT_COUNT = 1000
MAX_OFFSET = 1_000_000_000
NOTIFICATION_BYTES = 20_000_000
"""A request may have commanded thousands of devices at once, and one notification tells of all."""
Text = Annotated[str | None, Query()]


def commands_router(commands: RunningCommands | None) -> APIRouter:
    """Return the routes; without MongoDB (`commands` None) each answers 503."""
    router = APIRouter(tags=["commands"])

    def served() -> RunningCommands:
        if commands is None:
            raise RegistryNotAvailable("No commands are available: this agent runs without MongoDB (MONGODB_URI)")
        return commands

    @router.post("/notify", status_code=204)
    async def notify(request: Request, tenant: str = "") -> Response:
        """Notifications of the context broker: commands are stored, then it is answered 204; 503: tell it again."""
        body = await object_of(request, NOTIFICATION_BYTES)
        try:
            await served().notified(tenant, body)
        except StoreUnavailable as error:
            raise RegistryNotAvailable(str(error)) from error
        except WrongShape as error:
            raise WrongSyntax(f"Wrong syntax in request: {error}") from error
        return answer(None, 204)

    router.include_router(commanding_router(served))

    @router.get("/commands")
    async def list_commands(
        apikey: Text = None,
        device: Text = None,
        entity: Text = None,
        status: Text = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_COUNT)] = 20,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    ) -> Response:
        """Commands, newest first: of a device (`device`, `apikey`), an entity, in a status. With their history."""
        return await _listed(served(), Filter(apikey, device, entity, status), limit, offset)

    @router.get("/commands/{command_id}")
    async def get_command(command_id: str) -> Response:
        """One command, as a list of one or none."""
        return await _listed(served(), Filter(id=command_id), 1, 0)

    return router


async def _listed(commands: RunningCommands, wanted: Filter, limit: int, offset: int) -> Response:
    try:
        count, found = await commands.list(wanted, limit, offset)
    except StoreUnavailable as error:
        raise RegistryNotAvailable(str(error)) from error
    return answer({"count": count, "commands": [shown(command) for command in found]})


def shown(command: Command) -> dict[str, Any]:
    """Return a command as it is told. The payload is told as text, if it is one."""
    message = command.message
    return {
        "id": command.id,
        "device": command.line.device,
        "apikey": command.line.apikey,
        "entity": command.entity_id,
        "tenant": command.target.tenant,
        "command": command.name,
        "value": command.value,
        "status": command.status,
        "info": command.info,
        "issuedAt": _time(command.issued_at),
        "deadline": _time(command.deadline),
        "attempts": command.attempts_count,
        "way": message.way,
        "to": message.to,
        "payload": message.payload.decode(errors="replace"),
        "history": [{"at": _time(step.at), "status": step.status, "note": step.note} for step in command.history],
    }


def _time(at: datetime) -> str:
    return system_text(at.astimezone(UTC))
