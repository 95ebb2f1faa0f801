"""JSON-LD @contexts as term tables: short names in, keys and IRIs out, and back (clauses 4.4 and 5.5.7, annex C).

NGSI-LD uses an @context to expand and compact names only, so a flat table of terms is all that a request needs. The
core @context always comes last and wins: a user context can add terms, never redefine a core term.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ngsi import names
from ngsi.core_context import CORE_URLS, PREFIXES, TERMS
from ngsi.errors import BadRequestData
from ngsi.vocabulary import CORE_CONTEXT_URL, DEFAULT_CONTEXT

ContextSource = str | dict[str, Any] | list[Any]
"""An @context as a client gives it: a URL, an object of terms, or an array of both."""

_CACHED_NAMES_MAX = 4096


class Context:
    """The terms in force for one request: those of the user's @contexts, then those of the core.

    `source` is what the client gave without the core URLs (or the core URL when nothing else is left): what goes into
    `@context` and, being a URL, into the Link header of an answer.
    """

    def __init__(self, source: ContextSource = CORE_CONTEXT_URL, tables: Iterable[Mapping[str, Any]] = ()) -> None:
        self.source = source
        definitions: dict[str, Any] = {}
        for table in tables:
            _require_flat(table)
            definitions.update(table)
        resolved = {term: iri for term in definitions if (iri := _resolve(term, definitions))}
        self._terms = resolved | TERMS
        self._prefixes = {term: iri for term, iri in resolved.items() if iri[-1] in "/#:?=_-"} | PREFIXES
        self._terms_by_iri: dict[str, str] = {}
        for term, iri in self._terms.items():
            best = self._terms_by_iri.get(iri)
            if best is None or len(term) < len(best):
                self._terms_by_iri[iri] = term
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
            f"{prefix}:{iri[len(base) :]}"
            for prefix, base in self._prefixes.items()
            if iri.startswith(base) and len(iri) > len(base) and not iri.startswith("//", len(base))
        ]
        return min(candidates, key=len, default=iri)

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
            name = self.compact_iri(names.iri(key))
            if len(self._compacted) >= _CACHED_NAMES_MAX:
                self._compacted.clear()
            self._compacted[key] = name
        return name


CORE = Context()
"""The core @context alone: what a request without a context of its own works with."""


def user_source(source: ContextSource) -> ContextSource:
    """The client's own part of an @context: core URLs dropped, an array of one unwrapped; else the core URL."""
    parts = source if isinstance(source, list) else [source]
    kept = [part for part in parts if not (isinstance(part, str) and part in CORE_URLS)]
    if not kept:
        return CORE_CONTEXT_URL
    return kept[0] if len(kept) == 1 else kept


def _require_flat(table: Mapping[str, Any]) -> None:
    for term, definition in table.items():
        if isinstance(definition, Mapping) and "@context" in definition:
            raise BadRequestData(
                f"@context: term {names.show(term)} has an @context of its own (a scoped context), which NGSI-LD names "
                "cannot use; define its terms at the top level"
            )


def _resolve(term: str, definitions: Mapping[str, Any], trail: tuple[str, ...] = ()) -> str | None:
    """The IRI that a term stands for in the definitions; None for keywords, null and circular definitions."""
    if term.startswith("@") or term in trail:
        return None
    definition = definitions[term]
    if isinstance(definition, Mapping):
        definition = definition.get("@id", term)
    if not isinstance(definition, str) or (definition.startswith("@") and definition not in ("@id", "@type")):
        return None
    return _resolve_reference(definition, definitions, (*trail, term))


def _resolve_reference(name: str, definitions: Mapping[str, Any], trail: tuple[str, ...]) -> str | None:
    if name.startswith("@"):
        return name
    if name in definitions and name not in trail:
        return _resolve(name, definitions, trail)
    prefix, colon, local = name.partition(":")
    if not colon:
        return TERMS.get(name, DEFAULT_CONTEXT + name)
    if local.startswith("//"):
        return name
    if prefix in definitions:
        base = _resolve(prefix, definitions, trail)
        return None if base is None else base + local
    return PREFIXES[prefix] + local if prefix in PREFIXES else name
