"""The resources of the API and their operations, found by raw path, so that an encoded slash in an id stays in the id.

Every request goes the same way (clauses 6.3.2 to 6.3.6): method known (405), length and media types (411, 413, 415,
406), tenant (404), parameter names (400, or 501 for those of the standard that are not offered), then the operation.
"""

import itertools
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from broker import metrics
from broker.api.exchange import Answer, Request, accepted, media_type, parse_query
from broker.errors import BrokerError, HttpRefusal
from broker.services import Services
from broker.tenants import require_tenant_name
from ngsi.errors import BadRequestData, InvalidRequest, NgsiError, NotSupported, ResourceNotFound
from ngsi.names import show

Handler = Callable[[Request], Awaitable[Answer]]

_log = structlog.get_logger()
_WITH_BODY = frozenset({"POST", "PATCH", "PUT"})
_request_ids = itertools.count()
_process_id = secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a resource. The docstring of the handler is its description in the OpenAPI document.

    `parameters` are those it understands, `later` those of the standard that it answers 501 to. `creates_tenant`:
    an unknown tenant comes into being instead of 404.
    """

    name: str
    clause: str
    handler: Handler
    parameters: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    body: str | None = None
    answers: dict[int, str] = field(default_factory=dict)
    creates_tenant: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """A path template such as /ngsi-ld/v1/entities/{entityId} and its operations by method."""

    path: str
    operations: dict[str, Operation]

    @property
    def segments(self) -> list[str]:
        """The steps of the template."""
        return self.path.strip("/").split("/")


def merged(resources: Iterable[Resource]) -> list[Resource]:
    """One resource for each path: several modules can contribute operations to it."""
    operations: dict[str, dict[str, Operation]] = {}
    for resource in resources:
        operations.setdefault(resource.path, {}).update(resource.operations)
    return [Resource(path, methods) for path, methods in operations.items()]


class NgsiLdApi:
    """All resources of the API as one ASGI application."""

    def __init__(self, resources: list[Resource], services: Callable[[], Services]) -> None:
        self.resources = resources
        self._services = services
        self._by_length: dict[int, list[tuple[list[str], Resource]]] = {}
        for resource in resources:
            self._by_length.setdefault(len(resource.segments), []).append((resource.segments, resource))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers = dict(scope["headers"])
        operation: Operation | None = None
        try:
            resource, path = self._find(scope["raw_path"])
            operation = self._operation(resource, scope["method"])
            answer = await self._answer(operation, path, scope, headers, receive)
        except NgsiError as exc:
            answer = problem(exc)
        except Exception as exc:
            _log.exception("api.failed", method=scope["method"], path=scope["path"])
            answer = problem(NgsiError(f"The broker failed on this request ({type(exc).__name__}); see its log"))
        metrics.count_request(operation.name if operation else "none", answer.status)
        tenant = headers.get(b"ngsild-tenant")
        await _send(answer, send, () if tenant is None else ((b"ngsild-tenant", tenant),))

    def _find(self, raw_path: bytes) -> tuple[Resource, list[str]]:
        """The resource of a path and its decoded parameters; a slash at the end makes no difference."""
        steps = raw_path.decode("latin-1").partition("?")[0].strip("/").split("/")
        for template, resource in self._by_length.get(len(steps), ()):
            if all(want == step or want[0] == "{" for want, step in zip(template, steps, strict=True)):
                return resource, [unquote(step) for want, step in zip(template, steps, strict=True) if want[0] == "{"]
        raise ResourceNotFound(f"There is nothing at {show(raw_path.decode('latin-1'))}; /docs lists what there is")

    def _operation(self, resource: Resource, method: str) -> Operation:
        operation = resource.operations.get(method)
        if operation is None:
            allowed = ", ".join(resource.operations)
            raise HttpRefusal(
                405,
                "Method Not Allowed",
                f"{method} is no operation on {resource.path}; there are {allowed}",
                ((b"allow", allowed.encode()),),
            )
        return operation

    async def _answer(
        self, operation: Operation, path: list[str], scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> Answer:
        services = self._services()
        content = b""
        if scope["method"] in _WITH_BODY:
            content = await _read_content(headers, receive, services.settings.body_bytes)
        accept = accepted(headers.get(b"accept"))
        query_string = scope["query_string"]
        parameters = parse_query(query_string) if query_string else {}
        request = Request(services, path, parameters, headers, content)
        request.accept = accept
        request.request_id = f"{_process_id}-{next(_request_ids)}"
        name = require_tenant_name(headers.get(b"ngsild-tenant", b"").decode("latin-1"))
        request.tenant = await services.tenants.get(name, create=operation.creates_tenant)
        if parameters:
            _check_parameters(operation, parameters)
        return await operation.handler(request)


def problem(error: NgsiError) -> Answer:
    """The answer that tells an error (clause 5.5.3); 411 and 415 have no body (clause 6.3.2)."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, HttpRefusal):
        headers = error.headers
        if error.status in (411, 415):
            return Answer(error.status, headers=headers)
    elif isinstance(error, BrokerError):
        headers = ((b"retry-after", str(error.retry_after_s).encode()),)
    return Answer(error.status, orjson.dumps(error.problem()), headers)


async def not_offered(request: Request) -> Answer:
    """A part of the standard that this broker does not offer yet."""
    raise NotSupported("This operation of NGSI-LD is not offered by this broker yet; /docs lists those that are")


def _check_parameters(operation: Operation, parameters: dict[str, str]) -> None:
    for name in parameters:
        if name in operation.parameters:
            continue
        if name in operation.later:
            raise NotSupported(f"Parameter {name} of {operation.name} is not offered by this broker yet; leave it out")
        known = ", ".join(sorted(operation.parameters)) or "none"
        raise InvalidRequest(f"Parameter {show(name)} is not known to {operation.name}; it takes: {known}")


async def _read_content(headers: dict[bytes, bytes], receive: Receive, limit_bytes: int) -> bytes:
    length = headers.get(b"content-length")
    if length is None:
        raise HttpRefusal(411, "Length Required", "Send Content-Length")
    too_large = HttpRefusal(413, "Content Too Large", f"The body is over {limit_bytes} bytes; send it in parts")
    if int(length) > limit_bytes:
        raise too_large
    media_type(headers.get(b"content-type"))
    message = await receive()
    content: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return content
    chunks = [content]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequestData("The connection ended before the whole body had arrived")
        chunks.append(message.get("body", b""))
    return b"".join(chunks)


async def _send(answer: Answer, send: Send, extra: tuple[tuple[bytes, bytes], ...]) -> None:
    headers: list[tuple[bytes, bytes]] = [*answer.headers, *extra]
    if answer.content:
        headers.append((b"content-type", answer.content_type))
    if answer.content or answer.status != 204:
        headers.append((b"content-length", str(len(answer.content)).encode()))
    start: dict[str, Any] = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.content})
