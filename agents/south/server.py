"""The HTTP routes of devices. A measure is answered when the context broker has committed it, not before."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agents.commands.base import Commands
from agents.commands.payloads import ultralight
from agents.errors import ContractError, Empty, MeasureError, NotTaken, UnknownDevice
from agents.intake import Intake
from agents.profile import Profile
from agents.provisioning.directory import Directory
from agents.registry import Registry
from agents.routing import Router
from agents.south.errors import Refused, Unavailable
from agents.south.requests import Asked, read
from agents.south.vendors import read_vendor

PROCESSING_TIME = "X-Processing-Time"
RETRY_AFTER_S = 1


class South:
    """Answers HTTP devices."""

    def __init__(
        self,
        intake: Intake,
        registry: Registry,
        commands: Commands,
        profiles: Mapping[str, Profile],
        directory: Directory | None,
        answer_within_s: float,
        router: Router,
    ) -> None:
        self._router = router
        self._intake = intake
        self._registry = registry
        self._commands = commands
        self._profiles = profiles
        self._directory = directory
        self._answer_within_s = answer_within_s

    def app(self) -> Starlette:
        """Return the application: one route, because groups bring routes of their own."""
        routes = [Route("/{path:path}", self._serve, methods=["GET", "POST"])]
        return Starlette(routes=routes, exception_handlers={HTTPException: _not_served})

    async def _serve(self, request: Request) -> Response:
        began = time.perf_counter()
        try:
            response = await self._answer(request)
        except ContractError as error:
            response = _json({"name": error.name, "message": str(error)}, error.status)
            if error.status == Unavailable.status:
                response.headers["Retry-After"] = str(RETRY_AFTER_S)
        except ClientDisconnect:
            response = Response(status_code=400)
        response.headers[PROCESSING_TIME] = str(int((time.perf_counter() - began) * 1000))
        return response

    async def _answer(self, request: Request) -> Response:
        try:
            vendors = self._router.at_path(request.url.path) if request.method == "POST" else None
            if vendors is not None:
                asked = await read_vendor(request, vendors)
            else:
                asked = await read(request, self._directory)
            if asked.payload is not None:
                await self._take(asked, request.url.path)
            commands = await self._waiting_commands(asked) if asked.wants_commands else ()
        except MeasureError as error:
            raise Refused(error) from error
        return _told(asked, commands, accepts_json=_accepts_json(request))

    async def _take(self, asked: Asked, path: str) -> None:
        """Return when the measure is committed, or when there is nothing in it to commit."""
        assert asked.payload is not None
        profile = self._profiles[asked.profile]
        origin = f"{path} {asked.parts.get('apikey', '')} {asked.parts.get('device', '')}".rstrip()
        try:
            async with asyncio.timeout(self._answer_within_s):
                await self._intake.submit(origin, profile, asked.parts, asked.payload, asked.resource, asked.stated_at)
        except Empty:
            return  # the agents take it and do nothing
        except NotTaken as error:
            raise Unavailable(str(error)) from error
        except TimeoutError:
            raise Unavailable("The context broker has not committed the measure yet; it may come twice") from None

    async def _waiting_commands(self, asked: Asked) -> Sequence[tuple[str, object]]:
        key = (asked.profile, asked.parts["apikey"], asked.parts["device"], asked.resource)
        try:
            device = self._registry.find(*key)
        except UnknownDevice as error:
            if self._directory is None or not await self._directory.look_up([error.key]):
                raise
            device = self._registry.find(*key)
        return await self._commands.poll(device, distinct=not asked.is_ultralight)


def _told(asked: Asked, commands: Sequence[tuple[str, object]], *, accepts_json: bool) -> Response:
    """The answer to a request that was taken: commands for a polling device, else nothing."""
    if asked.is_ultralight:
        device = asked.parts["device"]
        return Response("#".join(ultralight(device, *command) for command in commands), media_type="text/plain")
    if not commands and not accepts_json:
        return Response("", media_type="text/html")
    return _json(dict(commands))


def _accepts_json(request: Request) -> bool:
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "*/*").split(",")]
    return any(part in ("*/*", "application/*", "application/json") for part in accepted)


async def _not_served(request: Request, error: Exception) -> Response:
    """Answer a method that no route has."""
    assert isinstance(error, HTTPException)
    content = {"name": "METHOD_NOT_ALLOWED", "message": f"Routes of devices take GET and POST, not {request.method}"}
    response = _json(content, error.status_code)
    response.headers.update(error.headers or {})
    return response


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
