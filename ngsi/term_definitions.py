"""The term definitions of @contexts, worked out as JSON-LD 1.1 does it (API, clauses 4.1.2 and 4.2.2).

Only what names need is kept: which IRI each term stands for, and which terms may be prefixes. Each object of terms is
read on top of those before it: a later prefix does not change what an earlier term was defined to be.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ngsi.core_context import PREFIXES, TERMS
from ngsi.errors import BadRequestData
from ngsi.names import show
from ngsi.vocabulary import DEFAULT_CONTEXT

_CHAIN_MAX = 50
_ENDS_OF_PREFIXES = tuple(":/?#[]@")
"""Characters that a term's IRI ends with if the term can be a prefix (gen-delims of RFC 3986)."""

_ALIASED_KEYWORDS = ("@id", "@type")


class Definitions:
    """The terms of a user's @contexts. `iris`: term → IRI or keyword; `prefixes`: those that can be a prefix."""

    def __init__(self, tables: Iterable[Mapping[str, Any]]) -> None:
        self.iris: dict[str, str] = {}
        self.prefixes: set[str] = set()
        self._vocab: str | None = None
        self._table: Mapping[str, Any] = {}
        self._done: dict[str, str | None] = {}
        self._open: list[str] = []
        for table in tables:
            self._add(table)

    def _add(self, table: Mapping[str, Any]) -> None:
        self._table, self._done = table, {}
        if "@vocab" in table:
            vocab = table["@vocab"]
            if vocab is not None and not isinstance(vocab, str):
                raise BadRequestData(f"@context: @vocab {show(vocab)} must be a text")
            self._vocab = None if vocab is None else self._expand(vocab, "@vocab")
        for term in table:
            iri = self._define(term)
            self.prefixes.discard(term)
            if iri is not None and _may_be_prefix(term, table[term], iri):
                self.prefixes.add(term)
        for term, iri in self._done.items():
            if iri is None:
                self.iris.pop(term, None)
            else:
                self.iris[term] = iri

    def _define(self, term: str) -> str | None:
        """The IRI of a term of the table; None for keywords and for terms that the table takes back."""
        if term in self._done:
            return self._done[term]
        if term.startswith("@"):
            return None
        if term in self._open:
            raise BadRequestData(f"@context: the definition of term {show(term)} leads back to itself")
        if len(self._open) >= _CHAIN_MAX:
            raise BadRequestData(f"@context: term {show(self._open[0])} is defined over more than {_CHAIN_MAX} others")
        self._open.append(term)
        name = _named(term, self._table[term])
        iri = None if name is None else self._expand(name, term)
        self._open.pop()
        if iri is not None and iri.startswith("@") and iri not in _ALIASED_KEYWORDS:
            iri = None
        self._done[term] = iri
        return iri

    def _expand(self, name: str, term: str) -> str | None:
        """What a name stands for within the definition of a term, as far as it is defined at all."""
        if name.startswith("@"):
            return name
        if name != term:
            if name in self._table:
                return self._define(name)
            if name in self.iris:
                return self.iris[name]
        prefix, colon, local = name.partition(":")
        if not colon:
            return TERMS.get(name, DEFAULT_CONTEXT + name) if self._vocab is None else self._vocab + name
        if local.startswith("//") or prefix == "_":
            return name
        if prefix in self._table and prefix != term:
            base = self._define(prefix)
            return None if base is None else base + local
        base = self.iris.get(prefix) or PREFIXES.get(prefix)
        return name if base is None else base + local


def _named(term: str, definition: object) -> str | None:
    """The IRI, compact IRI or term that a definition refers to; None if the term is to mean nothing."""
    if isinstance(definition, Mapping):
        if "@context" in definition and term not in TERMS:
            raise BadRequestData(
                f"@context: term {show(term)} has an @context of its own (a scoped context), which NGSI-LD does not "
                "allow (clause 5.5.7); define its terms at the top level"
            )
        if "@reverse" in definition:
            return None
        definition = definition.get("@id", term)
    if definition is None:
        return None
    if not isinstance(definition, str):
        raise BadRequestData(
            f"@context: term {show(term)} is defined by {show(definition)}; write an IRI, an object with @id or null"
        )
    return definition


def _may_be_prefix(term: str, definition: object, iri: str) -> bool:
    if ":" in term or "/" in term:
        return False
    if isinstance(definition, Mapping):
        return definition.get("@prefix") is True
    return iri.endswith(_ENDS_OF_PREFIXES)
