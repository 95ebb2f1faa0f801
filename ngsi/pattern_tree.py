"""The parts of a regular expression: sets of characters, and how parts are put together.

`ngsi.pattern` reads a client's text into this tree, `ngsi.pattern_cost` tells what it takes to run it, and `render`
writes it for RE2 and PCRE.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

CODE_POINT_MAX = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]
"""Characters as ranges of code points, both ends included, in order and apart."""

_CASED_BELOW = 0x530  # Latin, Greek, Cyrillic: the scripts that have case and are in daily use


@dataclass(frozen=True)
class Characters:
    """One character out of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Edge:
    """A place between characters; `text` is its spelling in RE2 and PCRE."""

    text: str


@dataclass(frozen=True)
class Sequence:
    """Parts one after the other."""

    parts: tuple["Part", ...]


@dataclass(frozen=True)
class Choice:
    """One of several parts."""

    parts: tuple["Part", ...]


@dataclass(frozen=True)
class Repeat:
    """A part, `low` to `high` times; `high` None is without end."""

    part: "Part"
    low: int
    high: int | None


Part = Characters | Edge | Sequence | Choice | Repeat


def ranges(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Any ranges, put in order and joined where they touch."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return tuple(joined)


def complement(inside: Ranges) -> Ranges:
    """All characters but these."""
    ends = [(-1, -1), *inside, (CODE_POINT_MAX + 1, CODE_POINT_MAX + 1)]
    return tuple((a[1] + 1, b[0] - 1) for a, b in pairwise(ends) if a[1] + 1 <= b[0] - 1)


def folded(inside: Ranges) -> Ranges:
    """These characters in both cases."""
    return ranges([*inside, *((v, v) for c, v in _case_pairs() if any(low <= c <= high for low, high in inside))])


@cache
def _case_pairs() -> list[tuple[int, int]]:
    letters = [chr(code) for code in range(_CASED_BELOW)]
    pairs = [(letter, variant) for letter in letters for variant in (letter.lower(), letter.upper())]
    known = {(ord(a), ord(b)) for a, b in pairs if a != b and len(b) == 1}
    return sorted(known | {(b, a) for a, b in known})


def render(part: Part) -> str:
    """The part in the spelling that RE2 and PCRE share."""
    match part:
        case Characters(inside):
            return _render_characters(inside)
        case Edge(text):
            return text
        case Sequence(parts):
            return "".join(map(render, parts))
        case Choice(parts):
            return f"(?:{'|'.join(map(render, parts))})"
        case Repeat(inner, low, high):
            body = render(inner) if isinstance(inner, Characters | Choice) else f"(?:{render(inner)})"
            return body + _render_count(low, high)


def _render_characters(inside: Ranges) -> str:
    if len(inside) == 1 and inside[0][0] == inside[0][1]:
        return _render_one(inside[0][0])
    outside = complement(inside)
    sign, listed = ("^", outside) if 0 < len(outside) < len(inside) else ("", inside)
    return f"[{sign}{''.join(_code(a) if a == b else f'{_code(a)}-{_code(b)}' for a, b in listed)}]"


def _render_one(code: int) -> str:
    letter = chr(code)
    if not letter.isascii() or not letter.isprintable():
        return _code(code)
    # A plain ":" or "-" leaves MongoDB able to see a literal prefix and to use an index for it.
    return letter if letter.isalnum() or letter in ":-_/ " else "\\" + letter


def _code(code: int) -> str:
    letter = chr(code)
    return letter if letter.isascii() and letter.isalnum() else f"\\x{{{code:x}}}"


def _render_count(low: int, high: int | None) -> str:
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((low, high))
    if short is not None:
        return short
    return f"{{{low}}}" if low == high else f"{{{low},{'' if high is None else high}}}"
