"""One request and its answer, as the operations of the API see them (clauses 6.3.4 to 6.3.6)."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

import orjson
from starlette.types import Receive, Send

from broker.api.link_header import context_link
from broker.contexts import STORE_PATH
from broker.errors import HttpRefusal
from broker.services import Services
from broker.tenants import Tenant
from ngsi.context import CORE, Context
from ngsi.errors import BadRequestData, InvalidRequest
from ngsi.names import show

JSON = "application/json"
LD_JSON = "application/ld+json"
GEO_JSON = "application/geo+json"
EVENT_STREAM = "text/event-stream"

_DEPTH_MAX = 60
_NOT_YET = object()
_INTEGER_MAX = 2**63 - 1
_BODY_TYPES = frozenset({JSON, LD_JSON, "application/merge-patch+json"})
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
        """Parses a large body in a thread; what `json` would raise is raised here."""
        self._parsed = await asyncio.to_thread(parse_json, self.content)

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


def parse_json(content: bytes) -> Any:
    """The JSON value of a body. InvalidRequest if it is none, BadRequestData if it cannot be stored exactly."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        what = "The body is empty" if not content.strip() else f"The body is not JSON: {exc}"
        raise InvalidRequest(f"{what}; send a JSON document in UTF-8") from exc
    if _require_storable(value):
        json.loads(content, parse_int=_whole)
    return value


def _require_storable(value: Any) -> bool:
    """Refuses what MongoDB would not give back as it was: deep nesting, integers over 64 bits, keys with U+0000.

    True if there are floats so large that the parser may have made them of integers.
    """
    has_large = False
    level = [value]
    depth = 0
    while level:
        depth += 1
        if depth > _DEPTH_MAX:
            raise BadRequestData(f"The body is nested more than {_DEPTH_MAX} levels deep")
        inner: list[Any] = []
        for item in level:
            if type(item) is dict:
                inner += item.values()
                if "\x00" in "".join(item):
                    raise BadRequestData("A member name of the body contains the character U+0000")
            elif type(item) is list:
                inner += item
            elif type(item) is int and not -_INTEGER_MAX <= item <= _INTEGER_MAX:
                raise _too_long(item)
            elif type(item) is float and not -_INTEGER_MAX < item < _INTEGER_MAX:
                has_large = True
        level = inner
    return has_large


def _whole(digits: str) -> float:
    if len(digits) > len(str(_INTEGER_MAX)) + 1 or not -_INTEGER_MAX <= int(digits) <= _INTEGER_MAX:
        raise _too_long(digits)
    return 0.0


def _too_long(number: object) -> BadRequestData:
    return BadRequestData(f"The number {show(number)} does not fit 64 bits; send it as a string")


@lru_cache(maxsize=1024)
def media_type(content_type: bytes | None) -> str:
    """The media type of a Content-Type header without its parameters; absent means application/json (415 if alien)."""
    if content_type is None:
        return JSON
    media = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    if media not in _BODY_TYPES:
        # The answer has no body (clause 6.3.2), so the header says what would be understood (RFC 9110, 15.5.16).
        known = ", ".join(sorted(_BODY_TYPES))
        detail = f"Content-Type {media} is none of {known}"
        raise HttpRefusal(415, "Unsupported Media Type", detail, ((b"accept", known.encode()),))
    return media


@lru_cache(maxsize=1024)
def accepted(accept: bytes | None, *, offers_geojson: bool = False, offers_events: bool = False) -> str:
    """The representation that the Accept header prefers, the first of equal ones (clause 6.3.4); 406 if it has none."""
    offers: tuple[str, ...] = (JSON, LD_JSON, GEO_JSON) if offers_geojson else (JSON, LD_JSON)
    if offers_events:
        offers = (EVENT_STREAM,)
    if accept is None:
        return offers[0]
    quality = dict.fromkeys(offers, (-1, 0.0))
    for item in accept.decode("latin-1").lower().split(","):
        wanted, *parameters = [part.strip() for part in item.split(";")]
        weight = _weight(parameters)
        for offered in quality:
            wider = ("*/*", offered.partition("/")[0] + "/*", offered)
            specificity = wider.index(wanted) if wanted in wider else -1
            if specificity > quality[offered][0]:
                quality[offered] = (specificity, weight)
    best = max(quality, key=lambda offered: quality[offered][1])
    if quality[best][1] <= 0:
        raise HttpRefusal(406, "Not Acceptable", f"Accept {show(accept)} allows none of {', '.join(offers)}")
    return best


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 1.0
    return 1.0


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
