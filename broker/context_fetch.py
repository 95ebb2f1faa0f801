"""Fetching @context documents from the web (clauses 5.5.6 and 5.13.1), within limits of time, size and place."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol

import aiohttp
import orjson
from yarl import URL

from broker.address_rule import ANY, PUBLIC, address_rule
from broker.settings import Settings
from broker.web_address import GuardedResolver
from ngsi.context import ContextSource
from ngsi.context_source import absolute, join, references, require_web_address
from ngsi.errors import BadRequestData, LdContextNotAvailable
from ngsi.names import show

Reach = Literal["public", "any", "none"]
"""From where @contexts are fetched: public addresses only, any address, or from nowhere."""

_REDIRECTS_MAX = 3
_AT_ONCE_COUNT = 64
_LIFETIME_S = 24 * 3600.0
_LIFETIME_MIN_S = 60.0
_LIFETIME_MAX_S = 30 * 24 * 3600.0
_HEADERS = {
    "Accept": "application/ld+json, application/json;q=0.9, */*;q=0.1",
    # Nothing to unpack: what arrives is what the limit of size counts.
    "Accept-Encoding": "identity",
}
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_MAX_AGE = re.compile(r"(?:^|,)\s*(s-maxage|max-age)\s*=\s*\"?(\d{1,10})")
_UNSTORABLE = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\b")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The value of `@context` of a document, its size, and for how long it need not be fetched again."""

    source: ContextSource
    text: bytes
    lifetime_s: float


class Web(Protocol):
    """Where @context documents come from."""

    async def fetch(self, url: str) -> Fetched:
        """The @context at a URL. LdContextNotAvailable if it cannot be had, BadRequestData if it is none."""

    async def close(self) -> None:
        """Ends all connections."""


class ContextFetcher(Web):
    """HTTP and HTTPS, redirects followed by hand so that each address on the way is checked."""

    def __init__(self, reach: Reach, timeout_s: float, size_bytes: int) -> None:
        self._reach = reach
        self._rule = address_rule(ANY if reach == ANY else PUBLIC)
        self._timeout_s = timeout_s
        self._size_bytes = size_bytes
        self._places = asyncio.Semaphore(_AT_ONCE_COUNT)
        self._session: aiohttp.ClientSession | None = None
        self._resolver: GuardedResolver | None = None

    async def fetch(self, url: str) -> Fetched:
        """See Web."""
        require_web_address(url)
        if self._reach == "none":
            raise LdContextNotAvailable(
                f"@context {show(url)} is not known to this broker, which fetches none from the web "
                "(MEDINA_FETCH_CONTEXTS=none); put the document into a folder of MEDINA_CONTEXTS"
            )
        try:
            async with self._places, asyncio.timeout(self._timeout_s):
                return await self._follow(url)
        except TimeoutError as exc:
            raise _unavailable(url, f"no answer within {self._timeout_s:g} s") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise _unavailable(url, str(exc) or type(exc).__name__) from exc

    async def close(self) -> None:
        """See Web."""
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def _follow(self, url: str) -> Fetched:
        at = url
        for _ in range(_REDIRECTS_MAX + 1):
            async with self._connection().get(self._permitted(at), allow_redirects=False) as response:
                onward = _onward(response)
                if onward is None:
                    return await self._document(url, at, response)
            at = require_web_address(join(at, onward))
        raise _unavailable(url, f"more than {_REDIRECTS_MAX} redirects")

    def _permitted(self, url: str) -> str:
        if self._rule.refused(URL(url).host or ""):
            raise _unavailable(
                url, "its address is private; MEDINA_FETCH_CONTEXTS=any lets the broker fetch from such addresses"
            )
        return url

    async def _document(self, url: str, at: str, response: aiohttp.ClientResponse) -> Fetched:
        if response.status != 200:
            raise _unavailable(url, f"the answer is {response.status} {response.reason or ''}".rstrip())
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _unavailable(url, "it comes compressed though this was not asked for")
        content = bytearray()
        async for chunk in response.content.iter_chunked(64 * 1024):
            content += chunk
            if len(content) > self._size_bytes:
                raise _unavailable(url, f"it is larger than {self._size_bytes} bytes")
        source = absolute(_source(url, bytes(content)), at)
        for _ in references(source):
            pass  # Each is looked at: what is no @context must not be kept.
        return Fetched(source, orjson.dumps(source), _lifetime_s(response, datetime.now(UTC)))

    def _connection(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._resolver = resolver = GuardedResolver(self._rule)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=resolver, socket_factory=resolver.socket_for, use_dns_cache=False, force_close=True
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                auto_decompress=False,
            )
        return self._session


def web_of_contexts(settings: Settings) -> Web:
    """The web as far as the operator lets it be asked."""
    return ContextFetcher(settings.fetch_contexts, settings.context_timeout_s, settings.context_bytes)


def _onward(response: aiohttp.ClientResponse) -> str | None:
    """Where the document is to be found instead: a redirect, or the JSON-LD beside an HTML page."""
    if response.status in _REDIRECT:
        return response.headers.get("Location")
    if response.status == 200 and "json" not in response.content_type:
        for link in response.links.values():
            if link.get("rel") == "alternate" and link.get("type") == "application/ld+json":
                return str(link["url"])
    return None


def _source(url: str, content: bytes) -> ContextSource:
    try:
        document: Any = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise BadRequestData(f"@context {show(url)}: the document is not JSON: {exc}") from exc
    if not isinstance(document, dict) or not isinstance(document.get("@context"), str | dict | list):
        raise BadRequestData(f"@context {show(url)}: the document has no member @context with a URL, object or array")
    source: ContextSource = document["@context"]
    return source


def _lifetime_s(response: aiohttp.ClientResponse, now: datetime) -> float:
    """For how long a document is fresh (RFC 9111 section 4.2.1); a day if the server does not say."""
    control = ",".join(response.headers.getall("Cache-Control", [])).lower()
    ages = dict(_MAX_AGE.findall(control))
    lifetime_s = _LIFETIME_S
    if _UNSTORABLE.search(control):
        lifetime_s = 0.0
    elif ages:
        age = response.headers.get("Age", "0")
        lifetime_s = float(ages.get("s-maxage") or ages["max-age"]) - (float(age) if age.isdecimal() else 0.0)
    elif "Expires" in response.headers:
        try:
            until = parsedate_to_datetime(response.headers["Expires"])
            lifetime_s = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
        except ValueError:
            lifetime_s = 0.0
    return min(max(lifetime_s, _LIFETIME_MIN_S), _LIFETIME_MAX_S)


def _unavailable(url: str, reason: str) -> LdContextNotAvailable:
    return LdContextNotAvailable(f"@context {show(url)} cannot be fetched: {show(reason, 200)}")
