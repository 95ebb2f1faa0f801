"""What an @context refers to: the documents behind its URLs, found before anything is fetched (clause 4.4)."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from ngsi.context import ContextSource
from ngsi.core_context import CORE_URLS
from ngsi.errors import BadRequestData
from ngsi.names import show

DEPTH_MAX = 10
"""How deep arrays and documents may lie in one another."""


def references(source: object, depth: int = 0) -> Iterator[str]:
    """The URLs that an @context names, those of the core @context left out; BadRequestData for what is no @context."""
    if depth > DEPTH_MAX:
        raise BadRequestData(f"@context refers to @contexts more than {DEPTH_MAX} levels deep")
    if isinstance(source, str):
        if source not in CORE_URLS:
            yield source
    elif isinstance(source, dict):
        if "@import" in source:
            yield from references(_imported(source), depth + 1)
    elif isinstance(source, list):
        for part in source:
            yield from references(part, depth + 1)
    else:
        raise BadRequestData(f"@context {show(source)} must be a URL, an object of terms, or an array of both")


def absolute(source: ContextSource, base: str, depth: int = 0) -> ContextSource:
    """The @context of a document with this URL, with the relative addresses in it made absolute."""
    if depth > DEPTH_MAX:
        raise BadRequestData(f"@context has arrays more than {DEPTH_MAX} levels deep")
    if isinstance(source, str):
        return join(base, source)
    if isinstance(source, list):
        return [absolute(part, base, depth + 1) for part in source]
    if isinstance(source, dict) and "@import" in source:
        return source | {"@import": join(base, _imported(source))}
    return source


def join(base: str, reference: str) -> str:
    """The URL that a reference in the document `base` means; BadRequestData for what is no reference."""
    try:
        return urljoin(base, reference)
    except ValueError as exc:
        raise BadRequestData(f"@context refers to {show(reference)}, which is no URL") from exc


def require_web_address(url: str) -> str:
    """The URL itself if it is an absolute one of http or https; otherwise BadRequestData."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not url.isprintable() or " " in url:
        raise BadRequestData(f"@context {show(url)} is not the URL of a document; write one with http or https")
    return url


def _imported(source: dict[str, object]) -> str:
    imported = source["@import"]
    if not isinstance(imported, str):
        raise BadRequestData(f"@context: @import {show(imported)} must be a URL")
    return imported
