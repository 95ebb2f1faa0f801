"""The resources of the API and their operations, found by raw path, so that an encoded slash in an id stays in the id.

Every request goes the same way (clauses 6.3.2 to 6.3.6): method known (405), length and media types (411, 413, 415,
406), tenant (404), parameter names (400, or 501 for those of the standard that are not offered), then the operation.
"""

import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from broker import metrics
from broker.api.context_rounds import answer_with_contexts
from broker.api.cors import Cors
from broker.api.exchange import Answer, Request, parse_query
from broker.api.media import accepted
from broker.api.receiving import read_content
from broker.api.sending import held, send_answer
from broker.errors import BrokerError, ContextNotAtHand, HttpRefusal
from broker.services import Services
from broker.tenants import tenant_name
from ngsi.errors import BadRequestData, InvalidRequest, NgsiError, NotSupported, ResourceNotFound
from ngsi.names import show

Handler = Callable[[Request], Awaitable[Answer]]

_log = structlog.get_logger()
_ENTITIES = "/ngsi-ld/v1/entities"
_LARGE_BYTES = 131_072
"""From this size on a body is parsed in a thread, so that other requests get their turns."""
_HARMLESS = re.compile(rb"[^\t\x20-\x7e\x80-\xff]").sub
"""Replaces what may not stand in the value of a header."""
_BOOLEANS = frozenset({"local", "splitEntities"})
"""Parameters that change nothing in a broker alone with its entities, so that no operation reads them."""
_WITH_BODY = frozenset({"POST", "PATCH", "PUT"})
_request_ids = itertools.count()
_process_id = secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a resource. The docstring of the handler is its description in the OpenAPI document.

    `parameters` are those it understands, `later` those of the standard that it answers 501 to. `creates_tenant`:
    an unknown tenant comes into being instead of 404. `any_tenant`: it is not looked up; `request.tenant` is not set.
    `takes_no_body`: one that is sent is not looked at, nor are the headers that describe it.
    `is_offered`: it does something; otherwise what is right is answered 501.
    """

    name: str
    clause: str
    handler: Handler
    parameters: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    body: str | None = None
    answers: dict[int, str] = field(default_factory=dict)
    creates_tenant: bool = False
    any_tenant: bool = False
    offers_geojson: bool = False
    takes_no_body: bool = False
    offers_events: bool = False
    is_offered: bool = True


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

    def __init__(self, resources: list[Resource], services: Callable[[], Services], cors: Cors) -> None:
        self.resources = resources
        self._services = services
        self._cors = cors
        self._by_length: dict[int, list[tuple[list[str], Resource]]] = {}
        for resource in resources:
            self._by_length.setdefault(len(resource.segments), []).append((resource.segments, resource))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers = _joined(scope["headers"])
        operation: Operation | None = None
        services = self._services()
        try:
            resource, path = self._find(scope["raw_path"])
            if scope["method"] == "OPTIONS":
                answer = self._options(resource, headers)
            else:
                operation = _operation(resource, scope["method"], scope["raw_path"])
                reserved = services.bodies.reserve(headers.get(b"content-length"))
                try:
                    content = b""
                    if scope["method"] in _WITH_BODY and not operation.takes_no_body:
                        is_patch = scope["method"] == "PATCH"
                        content = await read_content(headers, receive, services.settings, is_patch=is_patch)
                        if b"content-encoding" in headers:
                            reserved += services.bodies.reserve(b"%d" % len(content))
                    answer = await self._answer(services, operation, path, scope, headers, content)
                    if answer.rest is not None and scope["http_version"] == "1.0":
                        answer = await held(answer)
                finally:
                    services.bodies.release(reserved)
        except NgsiError as exc:
            answer = problem(exc)
        except Exception as exc:
            _log.exception("api.failed", method=scope["method"], path=scope["path"])
            answer = problem(NgsiError(f"The broker failed on this request ({type(exc).__name__}); see its log"))
        metrics.count_request(operation.name if operation else "none", answer.status)
        extra: tuple[tuple[bytes, bytes], ...] = ()
        if b"ngsild-tenant" in headers:
            extra = ((b"ngsild-tenant", _HARMLESS(b"?", headers[b"ngsild-tenant"])),)
        if self._cors.is_on:
            extra += self._cors.headers(headers)
        is_head = scope["method"] == "HEAD"
        if answer.stream is not None:
            await answer.stream(receive, send, (*answer.headers, *extra), is_head=is_head)
            return
        within_s = services.settings.transfer_timeout_s
        await send_answer(answer, headers, extra, receive, send, within_s, is_head=is_head)

    def _find(self, raw_path: bytes) -> tuple[Resource, list[str]]:
        """The resource of a path and its decoded parameters; a slash at the end makes no difference."""
        steps = raw_path.decode("latin-1").partition("?")[0].strip("/").split("/")
        for template, resource in self._by_length.get(len(steps), ()):
            if all(want == step or want[0] == "{" for want, step in zip(template, steps, strict=True)):
                return resource, [unquote(step) for want, step in zip(template, steps, strict=True) if want[0] == "{"]
        raise ResourceNotFound(f"There is nothing at {show(raw_path.decode('latin-1'))}; /docs lists what there is")

    def _options(self, resource: Resource, headers: dict[bytes, bytes]) -> Answer:
        """What can be done with a resource (RFC 9110 9.3.7), and the answer to a browser's preflight request."""
        methods = _allowed(resource).encode()
        preflight = self._cors.preflight(headers, methods) if self._cors.is_on else ()
        return Answer(204, headers=((b"allow", methods), *preflight))

    async def _answer(
        self,
        services: Services,
        operation: Operation,
        path: list[str],
        scope: Scope,
        headers: dict[bytes, bytes],
        content: bytes,
    ) -> Answer:
        accept = accepted(
            headers.get(b"accept"), offers_geojson=operation.offers_geojson, offers_events=operation.offers_events
        )
        query_string = scope["query_string"]
        parameters = parse_query(query_string) if query_string else {}
        request = Request(services, path, parameters, headers, content)
        request.accept = accept
        request.request_id = f"{_process_id}-{next(_request_ids)}"
        request.tenant_name = name = tenant_name(headers.get(b"ngsild-tenant", b""))
        if not operation.any_tenant:
            request.tenant = await services.tenants.get(name, create=operation.creates_tenant)
        if parameters:
            _check_parameters(operation, parameters)
        if len(content) > _LARGE_BYTES:
            await request.parse_aside()
        try:
            answer = await operation.handler(request)
        except ContextNotAtHand as missing:
            answer = await answer_with_contexts(operation.handler, request, missing)
        if request.offered is not None:
            await services.context_supply.offer(request.offered.source, name)
        return answer


def _joined(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name; the values of one that is there several times make one list (RFC 9110 5.3)."""
    headers = dict(pairs)
    if len(headers) != len(pairs):
        for name in headers:
            headers[name] = b", ".join(value for other, value in pairs if other == name)
    return headers


def _operation(resource: Resource, method: str, raw_path: bytes) -> Operation:
    operation = resource.operations.get("GET" if method == "HEAD" else method)
    if operation is not None:
        return operation
    if resource.path == _ENTITIES and method in ("PUT", "PATCH") and raw_path.endswith(b"/"):
        raise BadRequestData(f"{method} is for one entity, and the path ends where its id belongs")
    allowed = _allowed(resource)
    raise HttpRefusal(
        405,
        "Method Not Allowed",
        f"{method} is no operation on {resource.path}; there are {allowed}",
        ((b"allow", allowed.encode()),),
    )


def _allowed(resource: Resource) -> str:
    methods = [*resource.operations, "OPTIONS"]
    return ", ".join(["HEAD", *methods] if "GET" in methods else methods)


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


def _check_parameters(operation: Operation, parameters: dict[str, str]) -> None:
    for name in parameters:
        if name in operation.parameters:
            if name in _BOOLEANS and parameters[name].lower() not in ("true", "false"):
                raise BadRequestData(f"Parameter {name}={show(parameters[name])} must be true or false")
            continue
        if name in operation.later:
            raise NotSupported(f"Parameter {name} of {operation.name} is not offered by this broker yet; leave it out")
        known = ", ".join(sorted(operation.parameters)) or "none"
        raise InvalidRequest(f"Parameter {show(name)} is not known to {operation.name}; it takes: {known}")
