"""Cross-origin requests of web pages (Fetch standard, "CORS protocol"): off unless the operator names origins."""

_EXPOSED = (
    b"allow, link, location, ngsild-entitymap, ngsild-results-count, ngsild-tenant, ngsild-warning, "
    b"preference-applied, retry-after"
)
_ALLOWED = (
    b"accept, authorization, content-encoding, content-type, last-event-id, link, ngsild-entitymap, ngsild-tenant, "
    b"prefer"
)
_REMEMBERED_S = b"600"

Headers = tuple[tuple[bytes, bytes], ...]


class Cors:
    """Which pages may call: `origins` is empty (none), `*` (all), or a list separated by commas."""

    def __init__(self, origins: str) -> None:
        self._any = origins == "*"
        self._origins = frozenset(item.strip().encode() for item in origins.split(",") if item.strip())
        self.is_on = bool(self._origins)

    def allows(self, request: dict[bytes, bytes]) -> bool:
        """Whether a WebSocket may be opened, to which browsers do not apply CORS: by no page, or one that may call."""
        origin = request.get(b"origin")
        if origin is None or self._any or origin in self._origins:
            return True
        return origin.partition(b"://")[2] == request.get(b"host")

    def headers(self, request: dict[bytes, bytes]) -> Headers:
        """What an answer to this request says to the browser."""
        origin = request.get(b"origin")
        varying: Headers = () if self._any else ((b"vary", b"origin"),)
        if origin is None or not (self._any or origin in self._origins):
            return varying
        allowed = b"*" if self._any else origin
        return ((b"access-control-allow-origin", allowed), (b"access-control-expose-headers", _EXPOSED), *varying)

    def preflight(self, request: dict[bytes, bytes], methods: bytes) -> Headers:
        """What the answer to OPTIONS adds when a browser asks whether it may send such a request."""
        if b"access-control-request-method" not in request:
            return ()
        return (
            (b"access-control-allow-methods", methods),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", _REMEMBERED_S),
        )
