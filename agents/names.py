"""Names: ids of entities as URIs, and what an attribute may be called."""

from urllib.parse import quote

from agents.errors import WrongShape
from ngsi.vocabulary import RESERVED_NAMES

_URN = "urn:ngsi-ld:"
_URIS = ("urn:", "http://", "https://")
_KEPT = "-._~:"
_MAX_ID_LENGTH = 1024

_CORE_MEMBERS = frozenset(name for name in RESERVED_NAMES if not name.startswith("@")) | {"scope"}
_NOT_IN_NAMES = frozenset("<>\"'=;()@?&") | frozenset(map(chr, range(33)))
_MAX_NAME_LENGTH = 256
_SHOWN_CHARACTERS = 40


def default_id(type_: str, device: str, conjunction: str = ":") -> str:
    """Return the id of a device's entity when nobody has given it another."""
    return f"{_URN}{type_}{conjunction}{quote(device, safe=_KEPT)}"


def entity_id(name: str, type_: str) -> str:
    """Return a given name as an id: a URI as it is, anything else as `urn:ngsi-ld:<type>:<name>` (the agents' rule)."""
    if len(name) > _MAX_ID_LENGTH:
        raise WrongShape(f"the name of an entity has more than {_MAX_ID_LENGTH} characters")
    if name.startswith(_URIS):
        return (
            name if name.isascii() and not _NOT_IN_URIS.intersection(name) else quote(name, safe=_KEPT + "/%#?=&+,;@!")
        )
    return default_id(type_, name)


_NOT_IN_URIS = frozenset('<>"{}|\\^` ') | frozenset(map(chr, range(33)))


def attribute_name(field: str) -> str:
    """Return the attribute name of a field that nobody has named; `WrongShape` for one that no attribute can have.

    `id` and `type` become `measure_id` and `measure_type`, as with the FIWARE agents; so does what NGSI-LD reserves.
    """
    if field in _CORE_MEMBERS:
        return f"measure_{field}"
    if not _is_name(field):
        raise WrongShape(f"field {field[:_SHOWN_CHARACTERS]!r} has a name that no attribute can have")
    return field


def require_name(name: str, what: str) -> None:
    """Raise `WrongShape` for a name that somebody has given to `what`, an attribute or a type, and that it cannot have.

    What a context broker makes of other names is its own affair.
    """
    shown = repr(name[:_SHOWN_CHARACTERS])
    if name in _CORE_MEMBERS:
        raise WrongShape(f"{shown} is a term of NGSI-LD itself, so no {what} can be called that")
    if not name.startswith(_URIS) and not _is_name(name):
        raise WrongShape(f"no {what} can be called {shown}")


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MAX_NAME_LENGTH and _NOT_IN_NAMES.isdisjoint(text)
