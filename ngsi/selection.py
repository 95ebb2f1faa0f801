"""Entity type selection (clause 4.17): which types an entity must have.

selection   = alternative *( ( "|" / "," ) alternative )
alternative = names / "(" names ")"
names       = type *( ";" type )                        ; all of them
selection   =/ "*"                                      ; any type

The separators stand for themselves even inside a full IRI (clause 4.17 has no escape); a term of an @context reaches
such an IRI. A selection is held as its text with keys for names, in which those characters are percent-encoded.
"""

import re
from collections.abc import Callable, Collection

from ngsi.context import Context
from ngsi.errors import BadRequestData
from ngsi.names import show

EVERY_TYPE = "*"

_TOKEN = re.compile(r"[,|;()]|[^,|;()]+")
_NAMES = "n(?:;n)*"
_ALTERNATIVE = rf"(?:{_NAMES}|\({_NAMES}\))"
_SHAPE = re.compile(rf"{_ALTERNATIVE}(?:[,|]{_ALTERNATIVE})*")
_SEPARATORS = ",|;()"
_ENCODED = {separator: f"%{ord(separator):02X}" for separator in _SEPARATORS}
_DECODED = {encoded: separator for separator, encoded in _ENCODED.items()}

Alternatives = tuple[frozenset[str], ...]
"""Keys of types: an entity needs all of one of these sets. The empty set is met by any entity."""


EVERY: Alternatives = (frozenset(),)
"""What `*` asks for."""


def expand(text: object, context: Context) -> str:
    """The selection with keys for the names of the client; BadRequestData if it breaks the grammar."""
    if text == EVERY_TYPE:
        return EVERY_TYPE
    if not isinstance(text, str) or _SHAPE.fullmatch(_TOKEN.sub(_token_kind, text)) is None:
        raise BadRequestData(
            f"Type selection {show(text)} is not one: write names as in Room, Room|Hall or (Room;Hall),Gate"
        )
    return _with_names(text, lambda name: _encode(context.expand(name)))


def compact(selection: str, context: Context) -> str:
    """The selection with the names that its keys go by in the context."""
    if selection == EVERY_TYPE:
        return selection
    return _with_names(selection, lambda key: context.compact(_decode(key)))


def alternatives(selection: str) -> Alternatives:
    """What a selection with keys asks for."""
    if selection == EVERY_TYPE:
        return EVERY
    return tuple(
        frozenset(_decode(key) for key in names.strip("()").split(";")) for names in re.split(r"[,|]", selection)
    )


def selects(wanted: Alternatives, types: Collection[str]) -> bool:
    """Whether an entity of these types (keys) is selected."""
    return any(names.issubset(types) for names in wanted)


def _with_names(text: str, convert: Callable[[str], str]) -> str:
    return _TOKEN.sub(lambda token: token[0] if token[0] in _SEPARATORS else convert(token[0]), text)


def _token_kind(token: re.Match[str]) -> str:
    return token[0] if token[0] in _SEPARATORS else "n"


def _encode(key: str) -> str:
    return "".join(_ENCODED.get(character, character) for character in key)


def _decode(key: str) -> str:
    for encoded, separator in _DECODED.items():
        key = key.replace(encoded, separator)
    return key
