"""`/iot/groups` (alias `/iot/services`), `/iot/devices` and `/iot/op/delete`.

Source: telefonicaid/iotagent-node-lib, doc/api.md, "Config group API" and "Device API"; where it and the agents' code
differ, the code counts: 201 for a creation, 204 for a change and a deletion.
"""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from agents.api.provisioning_page import DELETION_PAGE, DEVICE_PAGE, DEVICES_PAGE, groups_page
from agents.api.requests import answer, count_of, object_of, objects, required, scope_of
from agents.provisioning.errors import RegistryNotAvailable
from agents.provisioning.service import Provisioning

_NAMES = {"/iot/groups": ("groups",), "/iot/services": ("services",)}


def provisioning_router(provisioning: Provisioning | None) -> APIRouter:
    """Return the routes; without MongoDB (`provisioning` None) each answers 503."""
    router = APIRouter(tags=["provisioning"])

    def served() -> Provisioning:
        if provisioning is None:
            raise RegistryNotAvailable("No device registry is available: this agent runs without MongoDB (MONGODB_URI)")
        return provisioning

    for path in _NAMES:
        _add_groups(router, path, served)
    _add_devices(router, served)
    return router


def _add_groups(router: APIRouter, path: str, served: Callable[[], Provisioning]) -> None:
    names = _NAMES[path]
    page = groups_page(names[0])

    @router.post(path, status_code=201, openapi_extra=page["post"])
    async def create_groups(request: Request) -> Response:
        """Provision groups. 201; 400 WRONG_SYNTAX, 409 DUPLICATE_GROUP."""
        scope = scope_of(request)
        await served().create_groups(scope, objects(await object_of(request), *names))
        return answer({}, 201)

    @router.get(path, openapi_extra=page["get"])
    async def list_groups(request: Request) -> Response:
        """The groups of a service and path (`/*`: of every path); `resource`, `apikey`, `limit`, `offset`."""
        scope = scope_of(request)
        resource, apikey = (request.query_params.get(name) for name in ("resource", "apikey"))
        limit, offset = count_of(request, "limit"), count_of(request, "offset")
        count, groups = await served().groups(scope, resource, apikey, limit, offset)
        return answer({"count": count, names[0]: groups})

    @router.put(path, status_code=204, openapi_extra=page["put"])
    async def update_group(request: Request) -> Response:
        """Change members of the group of `resource` and `apikey`. 204; 403 MISMATCHED_SERVICE, 404."""
        scope = scope_of(request)
        resource, apikey = required(request, "resource", "apikey")
        await served().update_group(scope, resource, apikey, await object_of(request))
        return answer(None, 204)

    @router.delete(path, status_code=204, openapi_extra=page["delete"])
    async def delete_group(request: Request) -> Response:
        """Remove the group of `resource` and `apikey`; `device=true`: with its devices. 204; 403, 404."""
        scope = scope_of(request)
        resource, apikey = required(request, "resource", "apikey")
        with_devices = request.query_params.get("device") == "true"
        await served().delete_group(scope, resource, apikey, with_devices=with_devices)
        return answer(None, 204)


def _add_devices(router: APIRouter, served: Callable[[], Provisioning]) -> None:
    @router.post("/iot/devices", status_code=201, openapi_extra=DEVICES_PAGE["post"])
    async def create_devices(request: Request) -> Response:
        """Provision devices. 201; 400 WRONG_SYNTAX or MISSING_ATTRIBUTES, 409 DUPLICATE_DEVICE_ID."""
        scope = scope_of(request)
        await served().create_devices(scope, objects(await object_of(request), "devices"))
        return answer({}, 201)

    @router.get("/iot/devices", openapi_extra=DEVICES_PAGE["get"])
    async def list_devices(request: Request) -> Response:
        """The devices of a service and path; `limit`, `offset`."""
        scope = scope_of(request)
        count, devices = await served().devices(scope, count_of(request, "limit"), count_of(request, "offset"))
        return answer({"count": count, "devices": devices})

    @router.get("/iot/devices/{device_id}", openapi_extra=DEVICE_PAGE["get"])
    async def get_device(request: Request, device_id: str) -> Response:
        """One device; `apikey` tells apart those of one id. 404 DEVICE_NOT_FOUND."""
        return answer(await served().device(scope_of(request), device_id, request.query_params.get("apikey")))

    @router.put("/iot/devices/{device_id}", status_code=204, openapi_extra=DEVICE_PAGE["put"])
    async def update_device(request: Request, device_id: str) -> Response:
        """Change members of a device. 204; 400 BAD_REQUEST for its id, 404."""
        scope = scope_of(request)
        changes = await object_of(request)
        await served().update_device(scope, device_id, request.query_params.get("apikey"), changes)
        return answer(None, 204)

    @router.delete("/iot/devices/{device_id}", status_code=204, openapi_extra=DEVICE_PAGE["delete"])
    async def delete_device(request: Request, device_id: str) -> Response:
        """Remove a device. 204; 404 DEVICE_NOT_FOUND."""
        await served().delete_device(scope_of(request), device_id, request.query_params.get("apikey"))
        return answer(None, 204)

    @router.post("/iot/op/delete", status_code=204, openapi_extra=DELETION_PAGE)
    async def delete_devices(request: Request) -> Response:
        """Remove devices: `{"devices": [{"deviceId", "apikey"}]}`. 204; 404 when one is missing (the others go)."""
        scope = scope_of(request)
        await served().delete_devices(scope, objects(await object_of(request), "devices"))
        return answer(None, 204)
