"""Arrays of entities, subscriptions … as the body of an answer, encoded one by one as they come.

Only one item at a time is there as a JSON object and as bytes; a page of 1,000 is held once, in the chunks to be sent.
"""

from typing import Any

import orjson

from broker.api.exchange import GEO_JSON, LD_JSON, Request
from ngsi import geojson

_CHUNK_BYTES = 262_144


class LongArray:
    """The array in the media type that the request accepts: JSON, JSON-LD with an @context in each item, or GeoJSON."""

    def __init__(self, request: Request) -> None:
        self._accept = request.accept
        self._context = request.context.source
        self._geometry = geometry_term(request) if request.accept == GEO_JSON else ""
        self._pieces: list[bytes] = []
        self._size = 0
        self._chunks: list[bytes] = []

    def add(self, item: dict[str, Any]) -> None:
        """Appends an item; it is not used afterwards."""
        if self._accept == GEO_JSON:
            item = geojson.feature(item, self._geometry)
        elif self._accept == LD_JSON:
            item["@context"] = self._context
        piece = orjson.dumps(item)
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _CHUNK_BYTES:
            self._close_chunk()

    def content(self, *, context_in_body: bool) -> bytes | list[bytes]:
        """The whole body; `context_in_body` is for GeoJSON, where it goes beside the features."""
        start, end = b"[", b"]"
        if self._accept == GEO_JSON:
            start = b'{"type":"FeatureCollection","features":['
            end = b'],"@context":' + orjson.dumps(self._context) + b"}" if context_in_body else b"]}"
        if not self._chunks:
            return start + b",".join(self._pieces) + end
        if self._pieces:
            self._close_chunk()
        return [start, *self._chunks, end]

    def _close_chunk(self) -> None:
        chunk = b",".join(self._pieces)
        self._chunks.append(b"," + chunk if self._chunks else chunk)
        self._pieces = []
        self._size = 0


def geometry_term(request: Request) -> str:
    """The name of the attribute that is the geometry of a Feature, as the answer spells it."""
    context = request.context
    return context.compact(context.expand(request.parameters.get("geometryProperty", "location")))
