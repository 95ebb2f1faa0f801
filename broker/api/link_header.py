"""The Link header of a request, by which it names its @context (RFC 8288, clause 6.3.5)."""

import re
from collections.abc import Iterator
from functools import lru_cache

from ngsi.errors import BadRequestData
from ngsi.names import show
from ngsi.vocabulary import CONTEXT_REL

_LINK = re.compile(r'\s*<([^>]*)>\s*((?:;\s*[\w*-]+\s*(?:=\s*(?:"[^"]*"|[^\s;,]+))?\s*)*)(?:,|$)')
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s;,]+)))?')


@lru_cache(maxsize=1024)
def context_link(header: bytes) -> str | None:
    """The URL of the JSON-LD context link, None if there are only other links.

    BadRequestData for what is no link; without `rel` none is (RFC 8288, 3.3). Ignored, it would leave the client with
    names of another @context than it meant, and with empty answers.
    """
    text = header.decode("latin-1")
    links = [(match[1], dict(_parameters(match[2]))) for match in _LINK.finditer(text)]
    if (text.strip() and not links) or not all("rel" in parameters for _, parameters in links):
        raise BadRequestData(
            f"The Link header {show(text)} is no link with a rel; an @context is named by "
            f'<https://…>; rel="{CONTEXT_REL}"; type="application/ld+json"'
        )
    urls = [url for url, parameters in links if CONTEXT_REL in parameters["rel"].split()]
    if len(urls) > 1:
        raise BadRequestData(f"The Link header names {len(urls)} JSON-LD contexts; one is allowed")
    return urls[0] if urls else None


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    for name, quoted, token in _PARAMETER.findall(text):
        yield name.lower(), quoted or token
