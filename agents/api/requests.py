"""What the routes read of a request, and how they answer: the FIWARE agents' headers, bodies and errors."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from agents.errors import ContractError
from agents.provisioning.errors import MissingHeaders, RegistryNotAvailable, WrongSyntax
from agents.provisioning.scope import Scope
from agents.provisioning.showing import Json

MAX_BODY_BYTES = 1_048_576
"""The FIWARE agents' limit."""

SERVICE, PATH = "fiware-service", "fiware-servicepath"
RETRY_AFTER_S = 1
_MAX_DIGITS_COUNT = 9


def answer(content: object, status: int = 200) -> Response:
    """Return a JSON answer; 204 has none."""
    return Response(None if status == 204 else orjson.dumps(content), status, media_type="application/json")


def scope_of(request: Request) -> Scope:
    """Return service and path of a request; `MissingHeaders` names those that are missing."""
    missing = [name for name in (SERVICE, PATH) if name not in request.headers]
    if missing:
        raise MissingHeaders(f"Some headers were missing from the request: {orjson.dumps(missing).decode()}")
    return Scope(request.headers[SERVICE].lower(), request.headers[PATH])


def required(request: Request, *names: str) -> list[str]:
    """Return query parameters that must be there; they may be empty."""
    missing = [name for name in names if name not in request.query_params]
    if missing:
        raise MissingHeaders(f"Some headers were missing from the request: {orjson.dumps(missing).decode()}")
    return [request.query_params[name] for name in names]


def count_of(request: Request, name: str) -> int:
    """Return a query parameter that is a whole number; 0 when it is not there."""
    text = request.query_params.get(name, "0")
    if not text.isdecimal() or len(text) > _MAX_DIGITS_COUNT:
        raise WrongSyntax(f"Wrong syntax in request: {name} is no whole number")
    return int(text)


async def object_of(request: Request, max_bytes: int = MAX_BODY_BYTES) -> Json:
    """Return the body, which must be a JSON object."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise WrongSyntax(f"Wrong syntax in request: the body has more than {max_bytes} bytes")
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WrongSyntax(f"Wrong syntax in request: the body is not JSON: {error.msg}") from None
    if not isinstance(value, dict):
        raise WrongSyntax("Wrong syntax in request: Errors found validating request. The body is no object")
    return value


def objects(body: Json, *names: str) -> Sequence[Json]:
    """Return the array of objects under the one name a body may have."""
    name = next((name for name in names if name in body), names[0])
    items = body.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items) or body.keys() - {name}:
        said = f"the body is not an object with an array of objects {name!r} and nothing else"
        raise WrongSyntax(f"Wrong syntax in request: Errors found validating request. {said}")
    return items


async def refused(request: Request, error: Exception) -> Response:
    """Answer what was refused, as the FIWARE agents do."""
    assert isinstance(error, ContractError)
    response = answer({"name": error.name, "message": str(error)}, error.status)
    if isinstance(error, RegistryNotAvailable):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


async def nothing_there(request: Request, error: Exception) -> Response:
    """Answer a path or a method that there is not."""
    assert isinstance(error, HTTPException)
    name = {404: "ROUTE_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "BAD_REQUEST")
    response = answer(
        {"name": name, "message": f"{error.detail}: {request.method} {request.url.path}"}, error.status_code
    )
    response.headers.update(error.headers or {})
    return response


def answer_refusals(app: FastAPI) -> None:
    """Make the app answer ContractErrors, and what has no route, in one form."""
    app.add_exception_handler(ContractError, refused)
    app.add_exception_handler(HTTPException, nothing_there)
