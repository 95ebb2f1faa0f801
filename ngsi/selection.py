"""Entity type selection (clause 4.17): which types an entity must have.

selection   = conjunction *( ( "|" / "," ) conjunction )  ; one of them
conjunction = term *( ";" term )                          ; all of them
term        = type / "(" selection ")"
selection   =/ "*"                                        ; any type

The separators stand for themselves even inside a full IRI (clause 4.17 has no escape); a term of an @context reaches
such an IRI. A selection is held as its text with keys for names, in which those characters are percent-encoded.
"""

import re
from collections.abc import Callable, Collection

from ngsi.context import Context
from ngsi.errors import BadRequestData
from ngsi.names import show

EVERY_TYPE = "*"
ALTERNATIVES_MAX = 200
_DEPTH_MAX = 16

_TOKEN = re.compile(r"[,|;()]|[^,|;()]+")
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
    try:
        _Parser(text if isinstance(text, str) else "").selection()
    except ValueError as exc:
        raise BadRequestData(
            f"Type selection {show(text)} is not one ({exc}): write names as in Room, Room|Hall or (Room;Hall),Gate"
        ) from exc
    return _with_names(str(text), lambda name: _encode(context.expand(name)))


def compact(selection: str, context: Context) -> str:
    """The selection with the names that its keys go by in the context."""
    if selection == EVERY_TYPE:
        return selection
    return _with_names(selection, lambda key: context.compact(_decode(key)))


def alternatives(selection: str) -> Alternatives:
    """What a selection with keys asks for."""
    if selection == EVERY_TYPE:
        return EVERY
    found = _Parser(selection).selection()
    return tuple(frozenset(map(_decode, names)) for names in found)


def selects(wanted: Alternatives, types: Collection[str]) -> bool:
    """Whether an entity of these types (keys) is selected."""
    return any(names.issubset(types) for names in wanted)


class _Parser:
    """Recursive descent: one method for a production of the grammar above, by the same name. Raises ValueError."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def selection(self, depth: int = 0) -> list[frozenset[str]]:
        """The alternatives."""
        found = dict.fromkeys(self._conjunction(depth))
        while self._takes("|") or self._takes(","):
            found.update(dict.fromkeys(self._conjunction(depth)))
        if not depth and self._at < len(self._tokens):
            raise ValueError(f"{self._tokens[self._at]!r} is one too many")
        return list(found)

    def _conjunction(self, depth: int) -> list[frozenset[str]]:
        found = self._term(depth)
        while self._takes(";"):
            others = self._term(depth)
            if len(found) * len(others) > ALTERNATIVES_MAX:
                raise ValueError(f"it has more than {ALTERNATIVES_MAX} alternatives")
            found = [names | more for names in found for more in others]
        return found

    def _term(self, depth: int) -> list[frozenset[str]]:
        if self._takes("("):
            if depth == _DEPTH_MAX:
                raise ValueError(f"it has more than {_DEPTH_MAX} parentheses inside one another")
            found = self.selection(depth + 1)
            if not self._takes(")"):
                raise ValueError("a ')' is missing")
            return found
        if self._at == len(self._tokens) or self._tokens[self._at] in _SEPARATORS:
            raise ValueError("a name is missing")
        self._at += 1
        return [frozenset({self._tokens[self._at - 1]})]

    def _takes(self, token: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False


def _with_names(text: str, convert: Callable[[str], str]) -> str:
    return _TOKEN.sub(lambda token: token[0] if token[0] in _SEPARATORS else convert(token[0]), text)


def _encode(key: str) -> str:
    return "".join(_ENCODED.get(character, character) for character in key)


def _decode(key: str) -> str:
    for encoded, separator in _DECODED.items():
        key = key.replace(encoded, separator)
    return key
