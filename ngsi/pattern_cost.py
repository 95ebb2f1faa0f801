"""What it costs a backtracking engine to search for a regular expression, told from its tree."""

from itertools import combinations

from ngsi.pattern_tree import Characters, Choice, Edge, Part, Ranges, Repeat, Sequence

_UNROLLED_MAX = 64
_WAYS_MAX = 64
_WAYS_FROM_START_MAX = 4096
_MANY_WAYS = 10**6


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


def trimmed(tree: Part) -> Part:
    """The same search with less to do: where a search begins or ends with a repetition, its least count is enough."""
    match tree:
        case Choice(parts):
            return Choice(tuple(map(trimmed, parts)))
        case Sequence(parts):
            return Sequence(_trimmed_ends(parts))
        case Repeat():
            return Sequence(_trimmed_ends((tree,)))
    return tree


def _trimmed_ends(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    remaining = list(parts)
    for end in (0, -1):
        while remaining and isinstance(part := remaining[end], Repeat) and part.low == 0:
            del remaining[end]
        if remaining and isinstance(part := remaining[end], Repeat):
            remaining[end] = Repeat(part.part, part.low, part.low) if part.low > 1 else part.part
    return tuple(remaining)


def steady(tree: Part) -> bool:
    """Whether a search takes a time that grows no faster than the text, even for an engine that backtracks.

    So it is with few ways to match at one place; and, where the only place is the beginning, with more ways or with one
    loop over single characters. Everything else is polynomial: each loop can multiply the time by the text's length.
    """
    if _ways(tree) <= _WAYS_MAX:
        return True
    if not isinstance(tree, Sequence) or tree.parts[:1] != (Edge("^"),):
        return False
    if _ways(tree) <= _WAYS_FROM_START_MAX:
        return True
    loops = [part for part in tree.parts if isinstance(part, Repeat) and _ways(part) > _WAYS_MAX]
    others = Sequence(tuple(part for part in tree.parts if part not in loops))
    return len(loops) == 1 and isinstance(loops[0].part, Characters) and _ways(others) <= _WAYS_MAX


def _ways(part: Part) -> int:
    """In how many ways the part can match at one place; unbounded is many."""
    match part:
        case Sequence(parts):
            ways = 1
            for inner in parts:
                ways = min(ways * _ways(inner), _MANY_WAYS)
            return ways
        case Choice(parts):
            return min(sum(map(_ways, parts)), _MANY_WAYS)
        case Repeat(inner, low, high):
            if high is None:
                return _MANY_WAYS
            return int(min(_ways(inner) ** min(high, _WAYS_MAX) * (high - low + 1), _MANY_WAYS))
    return 1


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
