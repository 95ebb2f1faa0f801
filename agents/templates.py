"""Templates for ids in profile files: text with `{name}`, `{name:8}` (its first 8 characters), `{name%}` (free text).

A part that fills a place is text or a whole number of a plain alphabet, so that nothing a device sends can reach beyond
its place in a URN. Free text is percent-encoded.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from agents.errors import ConfigurationError, WrongShape
from agents.protocols.base import json_type

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)(?::([1-9][0-9]?)|(%))?\}")
_PART = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MAX_FREE_LENGTH = 128


class Template:
    """A compiled template; `names` are the places in it, `pattern` its text."""

    __slots__ = ("_steps", "names", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        places = list(_PLACE.finditer(pattern))
        if "{" in (rest := _PLACE.sub("", pattern)) or "}" in rest:
            raise ConfigurationError(f"template {pattern!r}: a brace that is no {{name}} or {{name:length}}")
        self.names = tuple(place[1] for place in places)
        self._steps: list[tuple[str, str, int | None, bool]] = []
        position = 0
        for place in places:
            length = int(place[2]) if place[2] else None
            self._steps.append((pattern[position : place.start()], place[1], length, place[3] is not None))
            position = place.end()
        self._steps.append((pattern[position:], "", None, False))

    def render(self, parts: Mapping[str, object]) -> str:
        """Return the text with its places filled; `WrongShape` names the part that is missing or unfit."""
        pieces = []
        for before, name, length, is_free in self._steps:
            pieces.append(before)
            if name:
                pieces.append(_free(parts, name) if is_free else _part(parts, name)[:length])
        return "".join(pieces)


def _free(parts: Mapping[str, object], name: str) -> str:
    value = parts.get(name)
    if isinstance(value, str) and 0 < len(value) <= _MAX_FREE_LENGTH:
        return quote(value, safe="", errors="replace")
    return _part(parts, name)


def _part(parts: Mapping[str, object], name: str) -> str:
    try:
        value = parts[name]
    except KeyError:
        raise WrongShape(f"field {name} is missing") from None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and _PART.fullmatch(value):
        return value
    if isinstance(value, str):
        raise WrongShape(f"field {name} has other characters than letters, digits and ._:- or is too long for an id")
    raise WrongShape(f"field {name} is {json_type(value)}, not fit for an id")
