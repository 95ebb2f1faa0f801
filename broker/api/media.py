"""Media types: which a request has, and which its answer gets (clause 6.3.4)."""

from functools import lru_cache

from broker.errors import HttpRefusal
from ngsi.names import show

JSON = "application/json"
LD_JSON = "application/ld+json"
GEO_JSON = "application/geo+json"
EVENT_STREAM = "text/event-stream"

MERGE_PATCH = "application/merge-patch+json"
_BODY_TYPES = frozenset({JSON, LD_JSON, MERGE_PATCH})


@lru_cache(maxsize=1024)
def media_type(content_type: bytes | None, *, is_patch: bool = True) -> str:
    """The media type of a Content-Type header without its parameters; absent means application/json (415 if alien).

    A merge patch can only be the body of PATCH.
    """
    if content_type is None:
        return JSON
    media = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    if media not in _BODY_TYPES or (media == MERGE_PATCH and not is_patch):
        # The answer has no body (clause 6.3.2), so the header says what would be understood (RFC 9110, 15.5.16).
        known = ", ".join(sorted(_BODY_TYPES if is_patch else _BODY_TYPES - {MERGE_PATCH}))
        detail = f"Content-Type {media} is none of {known}"
        raise HttpRefusal(415, "Unsupported Media Type", detail, ((b"accept", known.encode()),))
    return media


@lru_cache(maxsize=1024)
def accepted(accept: bytes | None, *, offers_geojson: bool = False, offers_events: bool = False) -> str:
    """The representation that the Accept header prefers, the first of equal ones (clause 6.3.4); 406 if it has none."""
    offers: tuple[str, ...] = (JSON, LD_JSON, GEO_JSON) if offers_geojson else (JSON, LD_JSON)
    if offers_events:
        offers = (EVENT_STREAM,)
    if not accept:
        return offers[0]
    quality = dict.fromkeys(offers, (-1, 0.0))
    for item in accept.decode("latin-1").lower().split(","):
        wanted, *parameters = [part.strip() for part in item.split(";")]
        weight = _weight(parameters)
        for offered in quality:
            wider = ("*/*", offered.partition("/")[0] + "/*", offered)
            specificity = wider.index(wanted) if wanted in wider else -1
            if specificity > quality[offered][0]:
                quality[offered] = (specificity, weight)
    best = max(quality, key=lambda offered: quality[offered][1])
    if quality[best][1] <= 0:
        asked = show(accept.decode("latin-1"))
        raise HttpRefusal(406, "Not Acceptable", f"Accept {asked} allows none of {', '.join(offers)}")
    return best


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 1.0
    return 1.0
