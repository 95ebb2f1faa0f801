"""Arrays of entities, subscriptions … as the body of an answer, encoded one by one as they come.

Only one item at a time is there as a JSON object and as bytes. Up to `_HELD_BYTES` are held, in the chunks to be sent;
of what is longer the rest is made while the client takes it, so that neither large pages nor slow clients cost memory.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from broker.api.exchange import Request
from broker.api.media import GEO_JSON, JSON, LD_JSON
from broker.kept_json import kept_json
from ngsi import geojson
from ngsi.errors import TooManyResults

_CHUNK_BYTES = 262_144
_HELD_BYTES = 1_000_000
"""An answer up to this size has a Content-Length and arrives whole or as an error."""
_HELD_BYTES_MAX = 32_000_000
"""What is held where the beginning cannot go out before the end is made."""


class LongArray:
    """The array in the media type that the request accepts: JSON, JSON-LD with an @context in each item, or GeoJSON.

    `is_plain`: JSON whatever is accepted, for items that have no @context.
    """

    def __init__(self, request: Request, *, is_plain: bool = False) -> None:
        self._accept = JSON if is_plain else request.accept
        self._context = None if is_plain else request.context.source
        self._geometry = geometry_term(request) if self._accept == GEO_JSON else ""
        self._pieces: list[bytes] = []
        self._size = 0
        self._chunks: list[bytes] = []
        self._is_first = True
        self._held_bytes = 0
        self._items: AsyncGenerator[Any] | None = None

    def add(self, item: Any) -> None:
        """Appends an item; it is not used afterwards."""
        if self._accept == GEO_JSON:
            item = geojson.feature(item, self._geometry)
        elif self._accept == LD_JSON:
            item["@context"] = self._context
        piece = kept_json(item)
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _CHUNK_BYTES:
            self._close_chunk()

    async def fill(self, items: AsyncGenerator[Any], *, hold: bool = False) -> bool:
        """Appends items until there are no more or there is enough to hold; False if the others are left for `rest`.

        `hold`: all are appended, because the status depends on them. Raises TooManyResults.
        """
        async for item in items:
            self.add(item)
            if self._held_bytes >= _HELD_BYTES and not hold:
                self._items = items
                return False
            if self._held_bytes > _HELD_BYTES_MAX:
                await items.aclose()
                raise TooManyResults(f"The page comes to more than {_HELD_BYTES_MAX} bytes; ask for fewer entities")
        return True

    def content(self, *, context_in_body: bool = False) -> bytes | list[bytes]:
        """The whole body, or its start if there is a rest; `context_in_body`: GeoJSON has it beside the features."""
        start = b'{"type":"FeatureCollection","features":[' if self._accept == GEO_JSON else b"["
        end = b"" if self._items is not None else self._end(context_in_body)
        if self._is_first:
            return start + b",".join(self._pieces) + end
        return [start, *self._taken(), end]

    def rest(self, *, context_in_body: bool = False) -> AsyncGenerator[bytes] | None:
        """What follows the content, None if that is the whole."""
        return None if self._items is None else self._rest(self._items, context_in_body)

    async def _rest(self, items: AsyncGenerator[Any], context_in_body: bool) -> AsyncGenerator[bytes]:
        async with aclosing(items):
            async for item in items:
                self.add(item)
                if self._chunks:
                    yield self._chunks.pop()
        for chunk in self._taken():
            yield chunk
        yield self._end(context_in_body)

    def _end(self, context_in_body: bool) -> bytes:
        if self._accept != GEO_JSON:
            return b"]"
        return b'],"@context":' + orjson.dumps(self._context) + b"}" if context_in_body else b"]}"

    def _taken(self) -> list[bytes]:
        """The chunks so far, which are forgotten."""
        if self._pieces:
            self._close_chunk()
        chunks, self._chunks = self._chunks, []
        return chunks

    def _close_chunk(self) -> None:
        chunk = b",".join(self._pieces)
        self._chunks.append(chunk if self._is_first else b"," + chunk)
        self._is_first = False
        self._held_bytes += len(chunk)
        self._pieces = []
        self._size = 0


def geometry_term(request: Request) -> str:
    """The name of the attribute that is the geometry of a Feature, as the answer spells it."""
    context = request.context
    return context.compact(context.expand(request.parameters.get("geometryProperty", "location")))
