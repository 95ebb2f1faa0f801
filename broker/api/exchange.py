"""One request and its answer, as the operations of the API see them (clauses 6.3.4 to 6.3.6)."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

from starlette.types import Receive, Send

from broker.api.json_body import parse_json, require_moderate
from broker.api.link_header import context_link
from broker.api.media import JSON, LD_JSON, media_type
from broker.contexts import STORE_PATH
from broker.services import Services
from broker.tenants import Tenant
from ngsi.context import CORE, Context
from ngsi.errors import BadRequestData, InvalidRequest
from ngsi.names import show

_NOT_YET = object()
_FORM_ENCODED = re.compile(r"(?=.*%)[A-Za-z0-9*._~%+-]+")


Headers = tuple[tuple[bytes, bytes], ...]


class Stream(Protocol):
    """Sends an answer that has no end of its own, all of it, with these headers; to HEAD without its body."""

    async def __call__(self, receive: Receive, send: Send, headers: Headers, *, is_head: bool) -> None:
        """Serves one connection."""


class Answer(NamedTuple):
    """Status, body and further headers of an answer; without body there is no Content-Type.

    A long body is a list of chunks, so that its whole is never there twice; of a very long one `content` is the start,
    and `rest` is made while the client takes it. A `stream` sends everything by itself.
    """

    status: int
    content: bytes | list[bytes] = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"
    stream: Stream | None = None
    rest: AsyncGenerator[bytes] | None = None

    @property
    def size(self) -> int:
        """Length of the content in bytes."""
        return len(self.content) if isinstance(self.content, bytes) else sum(map(len, self.content))


class Request:
    """A request to one operation. `path` holds the decoded path parameters, `tenant` what serves its tenant.

    `parameters` is what the request asks for: the parameters of its URL, and those that a Query body spells as members
    (`query_body`); `url_parameters` is what stands in the URL, for links to other pages.
    """

    __slots__ = (
        "_context",
        "_parsed",
        "accept",
        "body",
        "content",
        "headers",
        "offered",
        "parameters",
        "path",
        "request_id",
        "services",
        "tenant",
        "tenant_name",
        "url_parameters",
    )

    def __init__(
        self,
        services: Services,
        path: list[str],
        parameters: dict[str, str],
        headers: dict[bytes, bytes],
        content: bytes,
    ) -> None:
        self.services = services
        self.path = path
        self.parameters = self.url_parameters = parameters
        self.headers = headers
        self.content = content
        self.accept = JSON
        self.body: Any = None
        self.request_id = ""
        self.tenant: Tenant
        self.tenant_name = ""
        self.offered: Context | None = None
        """An inline @context whose address goes into the answer: it has to be there before the answer is."""
        self._parsed: Any = _NOT_YET
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The @context of the request: from the Link header, or from the body where it has its own (clause 6.3.5)."""
        if self._context is None:
            self._context = self._linked_context()
        return self._context

    async def parse_aside(self) -> None:
        """Parses a large body in a thread; what `json` would raise is raised here, and what is too large to work on."""
        self._parsed = await asyncio.to_thread(_parse_large, self.content)

    def json(self) -> Any:
        """The JSON value of the body, see `parse_json`."""
        return parse_json(self.content) if self._parsed is _NOT_YET else self._parsed

    def read_body(self) -> Any:
        """Parses the body and takes its @context out; sets `body` and `context`."""
        self.body = body = self.json()
        if isinstance(body, dict):
            self._context = self.context_of(body)
        return body

    def context_of(self, document: dict[str, Any]) -> Context:
        """The @context of one JSON object of the body, by the Content-Type (clause 6.3.5)."""
        if media_type(self.headers.get(b"content-type")) == LD_JSON:
            if "@context" not in document:
                raise BadRequestData(
                    "The body has no @context, which Content-Type application/ld+json calls for; "
                    "add it, or send application/json with a Link header"
                )
            if b"link" in self.headers and context_link(self.headers[b"link"]) is not None:
                raise BadRequestData(
                    "There is an @context in the body and one in the Link header; "
                    "with Content-Type application/ld+json leave the Link header out"
                )
            return self.services.contexts.get(document["@context"], self.tenant_name)
        if "@context" in document:
            raise BadRequestData(
                "The body has an @context, which Content-Type application/json does not allow; "
                "send application/ld+json, or put the address of the @context into a Link header"
            )
        return self._linked_context()

    def _linked_context(self) -> Context:
        link = self.headers.get(b"link")
        url = None if link is None else context_link(link)
        return CORE if url is None else self.services.contexts.get(url, self.tenant_name)

    def address(self, context_id: str) -> str:
        """Where clients find an @context of this broker."""
        base = self.services.settings.public_url.rstrip("/")
        if not base:
            host = self.headers.get(b"host", b"").decode("latin-1")
            base = f"http://{host or f'{self.services.settings.host}:{self.services.settings.port}'}"
        return f"{base}{STORE_PATH}{context_id}"

    def flag(self, name: str) -> bool:
        """A boolean parameter, false if absent."""
        value = self.parameters.get(name, "false").lower()
        if value not in ("true", "false"):
            raise BadRequestData(f"Parameter {name}={show(value)} must be true or false")
        return value == "true"

    def number(self, name: str, default: int) -> int:
        """A parameter that is a whole number from 0 on."""
        value = self.parameters.get(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or len(value) > 9:
            raise BadRequestData(f"Parameter {name}={show(value)} must be a whole number from 0 on")
        return int(value)

    def names(self, name: str) -> list[str] | None:
        """A parameter that lists names, separated by commas; None if absent."""
        value = self.parameters.get(name)
        if value is None:
            return None
        items = value.split(",")
        if not all(items):
            raise BadRequestData(f"Parameter {name}={show(value)} has an empty item; separate names by single commas")
        return items


def _parse_large(content: bytes) -> Any:
    body = parse_json(content)
    require_moderate(body)
    return body


def parse_query(query_string: bytes) -> dict[str, str]:
    """The parameters of a URL, percent-decoded once. InvalidRequest for a repeated one.

    A `+` stands for itself, as in scopeQ=/A/+/C, but for a blank in a value that is encoded like a form: there nothing
    is left bare that has a meaning, so a `+` that is meant is written %2B.
    """
    parameters: dict[str, str] = {}
    for item in query_string.decode("latin-1").split("&"):
        if not item:
            continue
        name, _, value = item.partition("=")
        name = unquote(name)
        if name in parameters:
            raise InvalidRequest(f"Parameter {show(name)} is given twice; give its values as one list")
        if "+" in value and _FORM_ENCODED.fullmatch(value):
            value = value.replace("+", " ")
        parameters[name] = unquote(value)
    return parameters
