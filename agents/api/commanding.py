"""Commands asked of the agent itself: it answers as the context source that a command's attribute has in NGSI-LD.

Source: telefonicaid/iotagent-node-lib, lib/services/northBound/contextServer-NGSI-LD.js.
"""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from agents.api.requests import SERVICE, answer, object_of
from agents.commands.service import RunningCommands
from agents.errors import StoreUnavailable, WrongShape
from agents.provisioning.errors import DeviceNotFound, RegistryNotAvailable, WrongSyntax
from agents.provisioning.showing import Json
from agents.provisioning.specs import Place

_ENTITY = "/ngsi-ld/v1/entities/{entity_id}"
_ATTRIBUTES, _ATTRIBUTE = _ENTITY + "/attrs", _ENTITY + "/attrs/{name}"


def commanding_router(served: Callable[[], RunningCommands]) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    async def command(request: Request, entity_id: str, attributes: Json) -> Response:
        try:
            count = await served().commanded(_tenant(request, served().place), entity_id, attributes)
        except StoreUnavailable as error:
            raise RegistryNotAvailable(str(error)) from error
        except WrongShape as error:
            raise WrongSyntax(f"Wrong syntax in request: {error}") from error
        if not count:
            raise DeviceNotFound(f"No device was found that has these commands and the entity {entity_id}")
        return answer(None, 204)

    @router.put(_ATTRIBUTE, status_code=204)
    @router.patch(_ATTRIBUTE, status_code=204)
    async def command_by_attribute(request: Request, entity_id: str, name: str) -> Response:
        """Command a device here, without the context broker: the same body, and status and info show on the entity."""
        return await command(request, entity_id, {name: await object_of(request)})

    @router.put(_ATTRIBUTES, status_code=204)
    @router.patch(_ATTRIBUTES, status_code=204)
    @router.patch(_ENTITY, status_code=204)
    async def command_by_entity(request: Request, entity_id: str) -> Response:
        """The same with several attributes in the body."""
        return await command(request, entity_id, await object_of(request))

    return router


def _tenant(request: Request, place: Place) -> str:
    """The tenant: as the context broker says it, else that of the FIWARE service."""
    tenant = request.headers.get("ngsild-tenant")
    return place.target(request.headers.get(SERVICE, "").lower(), None).tenant if tenant is None else tenant
