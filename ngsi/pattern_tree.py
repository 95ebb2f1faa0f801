"""The parts of a regular expression: sets of characters, how parts are put together, and when a loop is in doubt.

`ngsi.pattern` reads a client's text into this tree; `render` writes it for RE2 and PCRE.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise

CODE_POINT_MAX = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]
"""Characters as ranges of code points, both ends included, in order and apart."""

_CASED_BELOW = 0x530  # Latin, Greek, Cyrillic: the scripts that have case and are in daily use
_UNROLLED_MAX = 64


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


def weight(part: Part) -> int:
    """About how many steps the compiled expression has."""
    match part:
        case Characters(inside):
            return 1 + len(inside)
        case Edge():
            return 1
        case Sequence(parts) | Choice(parts):
            return 1 + sum(map(weight, parts))
        case Repeat(inner, low, high):
            return 1 + weight(inner) * (low + 1 if high is None else max(high, 1))


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


def doubtful(part: Part) -> bool:
    """Whether some repeated part leaves a choice of how to go on at a character: a backtracking engine may then take
    exponential time. Told from the automaton of positions (Glushkov): every loop must be deterministic in itself."""
    match part:
        case Sequence(parts) | Choice(parts):
            return any(map(doubtful, parts))
        case Repeat(inner, _, high) if high is not None and high <= 1:
            return doubtful(inner)
        case Repeat():
            return _Positions(part).ambiguous()
    return False


class _Positions:
    """The positions of the characters in a part, and which can follow which: as often as there are ways to go."""

    def __init__(self, part: Part) -> None:
        self._sets: list[Ranges] = []
        self._follow: list[list[int]] = []
        self._visit(part)

    def ambiguous(self) -> bool:
        return any(
            a == b or _overlap(self._sets[a], self._sets[b])
            for following in self._follow
            for a, b in combinations(following, 2)
        )

    def _visit(self, part: Part) -> tuple[list[int], list[int], bool]:
        """The first positions, the last positions, and whether the part can be empty."""
        match part:
            case Characters(inside):
                self._sets.append(inside)
                self._follow.append([])
                here = [len(self._sets) - 1]
                return here, here, False
            case Edge():
                return [], [], True
            case Sequence(parts):
                return self._sequence(parts)
            case Choice(parts):
                visits = [self._visit(inner) for inner in parts]
                return [p for v in visits for p in v[0]], [p for v in visits for p in v[1]], any(v[2] for v in visits)
            case Repeat(inner, low, high):
                return self._repeat(inner, low, high)

    def _sequence(self, parts: tuple[Part, ...]) -> tuple[list[int], list[int], bool]:
        first: list[int] = []
        last: list[int] = []
        empty = True
        for part in parts:
            part_first, part_last, part_empty = self._visit(part)
            self._link(last, part_first)
            first = first + part_first if empty else first
            last = last + part_last if part_empty else part_last
            empty = empty and part_empty
        return first, last, empty

    def _repeat(self, part: Part, low: int, high: int | None) -> tuple[list[int], list[int], bool]:
        if high is not None and high > 1 and weight(part) * high <= _UNROLLED_MAX:
            return self._sequence(_unrolled(part, low, high))
        first, last, empty = self._visit(part)
        if high is None or high > 1:
            self._link(last, first)
        return first, last, empty or low == 0

    def _link(self, before: list[int], after: list[int]) -> None:
        for position in before:
            self._follow[position].extend(after)


def _unrolled(part: Part, low: int, high: int) -> tuple[Part, ...]:
    """A{2,4} as A A (A (A)?)?, in which each A has one place to go to the next from."""
    rest: tuple[Part, ...] = ()
    for _ in range(high - low):
        rest = (Repeat(Sequence((part, *rest)), 0, 1),)
    return (part,) * low + rest


def _overlap(one: Ranges, other: Ranges) -> bool:
    return any(a <= d and c <= b for a, b in one for c, d in other)
