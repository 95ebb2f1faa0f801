"""Names of entity types and attributes: their grammar, and the *keys* under which they are held.

A key is the short, storable form of an expanded name (an IRI):

| IRI                                                       | key                  |
| https://uri.etsi.org/ngsi-ld/default-context/temperature  | temperature          |
| https://uri.etsi.org/ngsi-ld/location                     | ngsi-ld:location     |
| https://example.org/room.temperature                      | https://example%2Eorg/room%2Etemperature |

Default-context names, the common case, stay short; the characters that a MongoDB path gives a meaning to (`.`, `$`) are
percent-encoded, so that a key is one step of a path and never an operator.
"""

import re
from collections.abc import Iterator

from ngsi.errors import BadRequestData
from ngsi.vocabulary import DEFAULT_CONTEXT, NGSI_LD

_CORE_PREFIX = "ngsi-ld:"

# [^\W\d_] is a letter; \w adds digits and the underscore (clause 4.6.2, in Unicode's reading).
_NAME = re.compile(r"[^\W\d_]\w*(?::[^\W\d_]\w*)?")
# RFC 3986 scheme, then anything but white space, controls, quotes and angle brackets: IRIs are welcome.
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:"
    r"[^\s<>\"\\^`{|}\x00-\x20\x7f-\xa0\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    r"\u2800\u3000\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]+"
)


def key(iri: str) -> str:
    """The key of an expanded name. `iri(key(x)) == x` for every IRI x."""
    if iri.startswith(DEFAULT_CONTEXT):
        local = iri[len(DEFAULT_CONTEXT) :]
        if _NAME.fullmatch(local) and ":" not in local:
            return local
    elif iri.startswith(NGSI_LD):
        local = iri[len(NGSI_LD) :]
        if _NAME.fullmatch(local) and ":" not in local:
            return _CORE_PREFIX + local
    return iri.replace("%", "%25").replace(".", "%2E").replace("$", "%24")


def iri(key: str) -> str:
    """The expanded name that a key stands for."""
    if ":" not in key:
        return DEFAULT_CONTEXT + key
    if key.startswith(_CORE_PREFIX):
        return NGSI_LD + key[len(_CORE_PREFIX) :]
    return key.replace("%24", "$").replace("%2E", ".").replace("%25", "%")


def is_uri(text: object) -> bool:
    """Whether the text is an absolute URI or IRI without white space or invisible characters."""
    return isinstance(text, str) and _URI.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether the text may name a type or an attribute: a short name, a compact IRI or an IRI (clause 4.6.2)."""
    return _NAME.fullmatch(text) is not None or is_uri(text)


def require_uri(text: object, what: str) -> str:
    """The text itself if it is a URI; otherwise BadRequestData that names `what` it should identify."""
    if not is_uri(text):
        raise BadRequestData(f"{what} {show(text)} is not a URI; write one such as urn:ngsi-ld:Room:1")
    return str(text)


def require_name(text: object, what: str) -> str:
    """The text itself if it is a legal name; otherwise BadRequestData that names `what` it should name."""
    if not isinstance(text, str) or not is_name(text):
        raise BadRequestData(
            f"{what} {show(text)} is not a legal name: it takes a letter followed by letters, digits and '_', "
            "a prefixed name such as sdm:temperature, or a full IRI"
        )
    return text


def show(value: object, limit: int = 80) -> str:
    """A value as an error text shows it: quoted, and cut when long."""
    text = ""
    for piece in _written(value, limit):
        text += piece
        if len(text) > limit:
            return text[: limit - 1] + "…"
    return text


def _written(value: object, limit: int) -> Iterator[str]:
    """What `repr` gives, in pieces: of a value of megabytes only the start is written."""
    if isinstance(value, list):
        yield "["
        for index, item in enumerate(value):
            yield ", " if index else ""
            yield from _written(item, limit)
        yield "]"
    elif isinstance(value, dict):
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield f"{', ' if index else ''}{show(key, limit)}: "
            yield from _written(item, limit)
        yield "}"
    else:
        yield repr(value[: limit + 1] if isinstance(value, str | bytes) else value)
