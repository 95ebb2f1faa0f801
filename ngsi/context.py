"""JSON-LD @contexts as term tables: short names in, keys and IRIs out, and back (clauses 4.4 and 5.5.7, annex C).

NGSI-LD uses an @context to expand and compact names only, so a flat table of terms is all that a request needs. The
core @context always comes last and wins: a user context can add terms, never redefine a core term.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ngsi import names
from ngsi.core_context import CORE_URLS, PREFIXES, TERMS
from ngsi.errors import BadRequestData
from ngsi.term_definitions import Definitions
from ngsi.vocabulary import CORE_CONTEXT_URL, DEFAULT_CONTEXT

ContextSource = str | dict[str, Any] | list[Any]
"""An @context as a client gives it: a URL, an object of terms, or an array of both."""

_CACHED_NAMES_MAX = 4096


def _shortest(terms: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """IRI → the shortest term for it, of these terms and those known before; core terms are not redefined."""
    shortest = dict(known)
    for term, iri in terms.items():
        if term in TERMS and known:
            continue
        best = shortest.get(iri)
        if best is None or (len(term), term) < (len(best), best):
            shortest[iri] = term
    return shortest


_CORE_TERMS_BY_IRI = _shortest(TERMS, {})


class Context:
    """The terms in force for one request: those of the user's @contexts, then those of the core.

    `source` is what the client gave without the core URLs (or the core URL when nothing else is left): what goes into
    `@context` and, being a URL, into the Link header of an answer.
    """

    def __init__(self, source: ContextSource = CORE_CONTEXT_URL, tables: Iterable[Mapping[str, Any]] = ()) -> None:
        self.source = source
        definitions = Definitions(tables)
        self._terms = definitions.iris | TERMS
        self._prefixes = {
            term: definitions.iris[term] for term in definitions.prefixes if term not in TERMS and term not in PREFIXES
        } | PREFIXES
        self._terms_by_iri = _shortest(definitions.iris, _CORE_TERMS_BY_IRI)
        self._keys: dict[str, str] = {}
        self._compacted: dict[str, str] = {}

    @property
    def url(self) -> str | None:
        """The one URL of this context, None for an inline one or an array."""
        return self.source if isinstance(self.source, str) else None

    def expand_iri(self, name: str) -> str:
        """The IRI of a term, a prefixed name or an IRI (JSON-LD expansion with the default context as @vocab)."""
        iri = self._terms.get(name)
        if iri is not None:
            return iri
        prefix, colon, local = name.partition(":")
        if not colon:
            return DEFAULT_CONTEXT + name
        if not local.startswith("//"):
            base = self._prefixes.get(prefix) or self._terms.get(prefix)
            if base is not None and not base.startswith("@"):
                return base + local
        return name

    def compact_iri(self, iri: str) -> str:
        """The shortest way to write an IRI so that `expand_iri` gives it back."""
        term = self._terms_by_iri.get(iri)
        if term is not None:
            return term
        if iri.startswith(DEFAULT_CONTEXT):
            local = iri[len(DEFAULT_CONTEXT) :]
            if local and ":" not in local and local not in self._terms:
                return local
        candidates = [
            compact
            for prefix, base in self._prefixes.items()
            if iri.startswith(base)
            and len(iri) > len(base)
            and not iri.startswith("//", len(base))
            and (compact := f"{prefix}:{iri[len(base) :]}") not in self._terms
        ]
        return min(candidates, key=lambda name: (len(name), name), default=iri)

    def expand(self, name: str) -> str:
        """The key of a type or attribute name; BadRequestData for an illegal name."""
        key = self._keys.get(name)
        if key is None:
            names.require_name(name, "Name")
            iri = self.expand_iri(name)
            if iri.startswith("@"):
                raise BadRequestData(f"Name {names.show(name)} is a keyword of JSON-LD; choose another name")
            key = names.key(iri)
            if len(self._keys) >= _CACHED_NAMES_MAX:
                self._keys.clear()
            self._keys[name] = key
        return key

    def compact(self, key: str) -> str:
        """The name that a key goes by in this context."""
        name = self._compacted.get(key)
        if name is None:
            iri = names.iri(key)
            name = self.compact_iri(iri)
            if not names.is_name(name):
                name = iri
            if len(self._compacted) >= _CACHED_NAMES_MAX:
                self._compacted.clear()
            self._compacted[key] = name
        return name


CORE = Context()
"""The core @context alone: what a request without a context of its own works with."""


def user_source(source: ContextSource) -> ContextSource:
    """The client's own part of an @context: core URLs dropped, an array of one unwrapped.

    Where nothing else is left it is the core URL, in the version that the client named.
    """
    parts = source if isinstance(source, list) else [source]
    kept = [part for part in parts if not (isinstance(part, str) and part in CORE_URLS)]
    if not kept:
        return parts[0] if parts else CORE_CONTEXT_URL
    return kept[0] if len(kept) == 1 else kept
