"""@contexts at hand: the core ones, those preloaded from folders, and inline ones (clauses 4.4 and 5.5.5)."""

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from broker.errors import SettingsError
from ngsi.context import CORE, Context, ContextSource, user_source
from ngsi.core_context import CORE_URLS
from ngsi.errors import BadRequestData, LdContextNotAvailable
from ngsi.names import show
from ngsi.vocabulary import CORE_CONTEXT_URL

_KEPT_MAX = 1000
_DEPTH_MAX = 10


class Contexts:
    """Makes a `Context` of what a request refers to; made ones are kept, the least recently used dropped."""

    def __init__(self, documents: Mapping[str, ContextSource]) -> None:
        self._documents = documents
        self._made: OrderedDict[bytes, Context] = OrderedDict()

    def get(self, source: ContextSource) -> Context:
        """The context for a URL, an inline object or an array of both.

        Raises LdContextNotAvailable for a URL that is not preloaded, BadRequestData for what is no @context.
        """
        if source == CORE_CONTEXT_URL:
            return CORE
        key = orjson.dumps(source)
        made = self._made.get(key)
        if made is None:
            own = user_source(source)
            made = Context(own, self._tables(own)) if own != CORE_CONTEXT_URL else CORE
            self._made[key] = made
            if len(self._made) > _KEPT_MAX:
                self._made.popitem(last=False)
        else:
            self._made.move_to_end(key)
        return made

    def _tables(self, source: object, depth: int = 0) -> Iterable[Mapping[str, Any]]:
        if depth > _DEPTH_MAX:
            raise BadRequestData(f"@context refers to @contexts more than {_DEPTH_MAX} levels deep")
        if isinstance(source, list):
            for part in source:
                yield from self._tables(part, depth + 1)
        elif isinstance(source, dict):
            yield source
        elif isinstance(source, str):
            if source not in CORE_URLS:
                yield from self._tables(self._document(source), depth + 1)
        else:
            raise BadRequestData(f"@context {show(source)} must be a URL, an object of terms, or an array of both")

    def _document(self, url: str) -> ContextSource:
        document = self._documents.get(url)
        if document is None:
            raise LdContextNotAvailable(
                f"@context {show(url)} is not known to this broker; put the document into a folder of MEDINA_CONTEXTS, "
                "or send its terms in the body with Content-Type application/ld+json"
            )
        return document


def preloaded(folders: Iterable[str]) -> dict[str, ContextSource]:
    """URL → content of `@context`, from the index.json {URL: file name} of each folder; SettingsError if unreadable."""
    documents: dict[str, ContextSource] = {}
    for folder in folders:
        index = Path(folder) / "index.json"
        for url, name in _read_json(index).items():
            document = _read_json(Path(folder) / name)
            if "@context" not in document:
                raise SettingsError(f"MEDINA_CONTEXTS: {Path(folder) / name} has no member @context")
            documents[url] = document["@context"]
    return documents


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise SettingsError(f"MEDINA_CONTEXTS: {path} cannot be read as JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise SettingsError(f"MEDINA_CONTEXTS: {path} must hold a JSON object")
    return content
