"""@contexts at hand, made into `Context`s: what a request needs no waiting for (clauses 4.4, 5.5.5 and 5.5.6).

A request finds its @context here by one look-up. What is not at hand raises ContextNotAtHand; `context_supply` then
brings it, and the request starts anew (`broker.api.context_rounds`).
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic
from typing import Any
from urllib.parse import unquote

import orjson

from broker.errors import ContextNotAtHand
from ngsi.context import CORE, Context, ContextSource, user_source
from ngsi.context_source import DEPTH_MAX
from ngsi.core_context import CORE_URLS
from ngsi.errors import BadRequestData, LdContextNotAvailable, NgsiError
from ngsi.names import show
from ngsi.vocabulary import CORE_CONTEXT_URL

STORE_PATH = "/ngsi-ld/v1/jsonldContexts/"
"""Where this broker serves its own @contexts."""

_MADE_COUNT_MAX = 1000
_MADE_BYTES_MAX = 16_000_000
_INLINE_BYTES_MAX = 64_000
_DOCUMENTS_BYTES_MAX = 32_000_000
_FAILURES_COUNT_MAX = 1000
_FAILURE_S = 10.0
_PARTS_MAX = 1000
_TERMS_BYTES_MAX = 2_000_000
"""What one @context may amount to with all that it refers to, as often as it does: 0.1 s of work."""

_ID = "urn:ngsi-ld:jsonldContext:"
_OWN = re.compile(rf"(?:https?://[^/?#]+(?:/[^/?#]+)*)?{STORE_PATH}({_ID}[0-9a-f]{{32}})/?")


def id_of(content: bytes) -> str:
    """The id of the @context that these bytes tell from others: a URL, or the @context itself."""
    return _ID + blake2b(content, digest_size=16).hexdigest()


def own_id(reference: str) -> str | None:
    """The id in a URL (or path) of the broker's own store, whatever name the broker goes by; None for other URLs."""
    match = _OWN.fullmatch(unquote(reference))
    return match[1] if match else None


@dataclass(slots=True, eq=False)
class Document:
    """An @context document at hand. `tenants` may use it (None: all); `url` is None for the broker's own.

    `expires_at` is a system timestamp (None: never); `hit_count` what was not written to the store yet.
    """

    id: str
    url: str | None
    source: ContextSource
    size_bytes: int
    tenants: frozenset[str] | None = None
    expires_at: str | None = None
    is_preloaded: bool = False
    hit_count: int = 0
    was_used: bool = False
    fetch_not_before_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Made:
    context: Context
    documents: dict[str, Document] = field(default_factory=dict)
    tenants: frozenset[str] | None = None
    size_bytes: int = 0
    hit_count: int = 0
    part_count: int = 0


class Contexts:
    """Makes a `Context` of what a request refers to; made ones are kept, the least recently used dropped.

    `generation` grows whenever a document at hand got another content: what was made of it before is out of date.
    """

    def __init__(self, preloaded: Mapping[str, ContextSource]) -> None:
        self.generation = 0
        self._preloaded = {url: _preloaded(url, source) for url, source in preloaded.items()}
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._documents_bytes = 0
        self._failures: OrderedDict[str, tuple[NgsiError, float]] = OrderedDict()
        self._made: OrderedDict[str | bytes, _Made] = OrderedDict()
        self._made_bytes = 0

    def get(self, source: ContextSource, tenant: str = "") -> Context:
        """The context for a URL, an inline object or an array of both.

        Raises ContextNotAtHand for a URL whose document has to be brought first, LdContextNotAvailable if that failed
        a short while ago, BadRequestData for what is no @context.
        """
        if source == CORE_CONTEXT_URL:
            return CORE
        key = source if type(source) is str else orjson.dumps(source)
        made = self._made.get(key)
        if made is None:
            made = self._make(key, source, tenant)
        else:
            self._made.move_to_end(key)
        if made.tenants is not None and tenant not in made.tenants:
            raise LdContextNotAvailable(f"@context {show(source)} does not exist on this broker")
        made.hit_count += 1
        return made.context

    def is_at_hand(self, reference: str) -> bool:
        """Whether a document needs no bringing: it is here, or could not be had a short while ago."""
        return reference in self._preloaded or reference in self._documents or self._failure(reference) is not None

    def document(self, reference: str) -> Document | None:
        """The document at hand for a URL."""
        return self._preloaded.get(reference) or self._documents.get(reference)

    def preloaded(self, reference: str) -> Document | None:
        """The document for a URL that came from a folder."""
        return self._preloaded.get(reference)

    def documents(self) -> list[tuple[str, Document]]:
        """All documents at hand that did not come from a folder, with the URL each goes by in requests."""
        return list(self._documents.items())

    def hold(self, reference: str, document: Document) -> None:
        """Puts a document at hand, in the place of the one that was there."""
        former = self._documents.pop(reference, None)
        if former is not None:
            self._documents_bytes -= former.size_bytes
            if former.source != document.source or former.tenants != document.tenants:
                self._unmake()
            else:
                former.expires_at = document.expires_at
                document = former
        self._failures.pop(reference, None)
        self._documents[reference] = document
        self._documents_bytes += document.size_bytes
        while self._documents_bytes > _DOCUMENTS_BYTES_MAX and len(self._documents) > 1:
            self.drop(next(iter(self._documents)))

    def drop(self, reference: str) -> None:
        """Forgets a document and its failure; who needs it next has it brought."""
        self._failures.pop(reference, None)
        document = self._documents.pop(reference, None)
        if document is not None:
            self._documents_bytes -= document.size_bytes
            self._unmake()

    def fail(self, reference: str, error: NgsiError) -> None:
        """Remembers for some seconds that a document cannot be had, and why."""
        self._failures[reference] = (error, monotonic() + _FAILURE_S)
        if len(self._failures) > _FAILURES_COUNT_MAX:
            self._failures.popitem(last=False)

    def take_hits(self) -> list[Document]:
        """The documents used since the last time; their `hit_count` is for the caller to reset."""
        for made in self._made.values():
            _settle(made)
        every = [*self._preloaded.values(), *self._documents.values()]
        return [document for document in every if document.hit_count]

    def _failure(self, reference: str) -> NgsiError | None:
        error, until_s = self._failures.get(reference, (None, 0.0))
        return error if monotonic() < until_s else None

    def _unmake(self) -> None:
        for made in self._made.values():
            _settle(made)
        self._made.clear()
        self._made_bytes = 0
        self.generation += 1

    def _make(self, key: str | bytes, source: ContextSource, tenant: str) -> _Made:
        own = user_source(source)
        made = _Made(CORE, size_bytes=len(key))
        if own != CORE_CONTEXT_URL:
            tables = list(self._tables(own, made, tenant))
            made.context = Context(own, tables)
        restricted = [document.tenants for document in made.documents.values() if document.tenants is not None]
        made.tenants = frozenset.intersection(*restricted) if restricted else None
        if len(key) <= _INLINE_BYTES_MAX:
            self._made[key] = made
            self._made_bytes += made.size_bytes
            while len(self._made) > _MADE_COUNT_MAX or (self._made_bytes > _MADE_BYTES_MAX and len(self._made) > 1):
                _, dropped = self._made.popitem(last=False)
                _settle(dropped)
                self._made_bytes -= dropped.size_bytes
        return made

    def _tables(self, source: object, made: _Made, tenant: str, depth: int = 0) -> Iterator[Mapping[str, Any]]:
        made.part_count += 1
        if depth > DEPTH_MAX:
            raise BadRequestData(f"@context refers to @contexts more than {DEPTH_MAX} levels deep")
        if made.part_count > _PARTS_MAX or made.size_bytes > _TERMS_BYTES_MAX:
            raise BadRequestData(
                f"@context has more than {_PARTS_MAX} parts or {_TERMS_BYTES_MAX} bytes, with all that it refers to"
            )
        if isinstance(source, list):
            for part in source:
                yield from self._tables(part, made, tenant, depth + 1)
        elif isinstance(source, dict):
            if "@import" in source:
                yield from self._tables(source["@import"], made, tenant, depth + 1)
            yield source
        elif isinstance(source, str):
            if source not in CORE_URLS:
                document = made.documents[source] = self._required(source, tenant)
                made.size_bytes += document.size_bytes
                yield from self._tables(document.source, made, tenant, depth + 1)
        else:
            raise BadRequestData(f"@context {show(source)} must be a URL, an object of terms, or an array of both")

    def _required(self, reference: str, tenant: str) -> Document:
        document = self.document(reference)
        if document is None:
            error = self._failure(reference)
            if error is None:
                raise ContextNotAtHand(reference)
            raise type(error)(error.detail)
        if document.tenants is not None and tenant not in document.tenants:
            raise LdContextNotAvailable(f"@context {show(reference)} does not exist on this broker")
        return document


def _settle(made: _Made) -> None:
    """Passes the hits of a made context on to its documents."""
    if made.hit_count:
        for document in made.documents.values():
            document.hit_count += made.hit_count
            document.was_used = True
        made.hit_count = 0


def _preloaded(url: str, source: ContextSource) -> Document:
    return Document(id_of(url.encode()), url, source, len(orjson.dumps(source)), is_preloaded=True)


def own_part(source: ContextSource) -> bytes:
    """The client's part of an @context as canonical JSON: the same bytes for the same content."""
    return orjson.dumps(user_source(source), option=orjson.OPT_SORT_KEYS)


def sources_of(values: Iterable[object]) -> list[ContextSource]:
    """Those of the values that can be an @context at all."""
    return [value for value in values if isinstance(value, str | dict | list)]
