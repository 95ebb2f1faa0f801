"""Scope queries, parameter `scopeQ` (clause 4.19): where in the hierarchy of scopes an entity must be.

scopeQ      = alternative *( ( "|" / "," ) alternative )
alternative = patterns / "(" patterns ")"
patterns    = pattern *( ";" pattern )                  ; each by some scope of the entity
pattern     = "/#" / 1*( "/" step ) [ "/#" ]            ; "/#": the scope itself and everything below it
step        = level / "+"                               ; "+": any one level
level       = letter *( letter / number / "_" )

A scope is read with a leading slash, written or not. "/#" alone stands for any scope at all.
`broker.storage.mongo_scope` says the same in MongoDB's words.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ngsi.entity import Entity
from ngsi.errors import BadRequestData
from ngsi.names import show

PATTERNS_MAX = 100
LEVELS_MAX = 50

_LEVEL = r"[^\W\d_]\w*"
_PATTERN = rf"(?:/#|(?:/(?:{_LEVEL}|\+))+(?:/#)?)"
_PATTERNS = rf"{_PATTERN}(?:;{_PATTERN})*"
_ALTERNATIVE = rf"(?:\({_PATTERNS}\)|{_PATTERNS})"
_QUERY = re.compile(rf"{_ALTERNATIVE}(?:[|,]{_ALTERNATIVE})*")


@dataclass(frozen=True, slots=True)
class Pattern:
    """The levels of a scope from the top, None for any one; `deeper` if more may follow."""

    levels: tuple[str | None, ...]
    deeper: bool

    def matches(self, scope: str) -> bool:
        """Whether a scope, as it is held, is one of those."""
        levels = scope.removeprefix("/").split("/")
        return (len(levels) == len(self.levels) or (self.deeper and len(levels) > len(self.levels))) and all(
            wanted is None or wanted == level for wanted, level in zip(self.levels, levels, strict=False)
        )


ScopeQuery = tuple[tuple[Pattern, ...], ...]
"""Alternatives; an entity has to match all patterns of one of them."""


def parse(text: object) -> ScopeQuery:
    """The query of a text; BadRequestData if it breaks the grammar."""
    if not isinstance(text, str) or _QUERY.fullmatch(text) is None:
        raise BadRequestData(
            f"scopeQ {show(text)} is not one: write paths as in /Madrid/Gardens, /Madrid/+/Roses, /Madrid/#, "
            "joined by ';' (all of them) and '|' or ',' (one of them)"
        )
    query = tuple(
        tuple(_pattern(pattern) for pattern in alternative.strip("()").split(";"))
        for alternative in re.split(r"[|,]", text)
    )
    if sum(map(len, query)) > PATTERNS_MAX or any(len(item.levels) > LEVELS_MAX for part in query for item in part):
        raise BadRequestData(f"scopeQ takes at most {PATTERNS_MAX} paths of at most {LEVELS_MAX} levels")
    return query


def _pattern(text: str) -> Pattern:
    levels = text.split("/")[1:]
    deeper = levels[-1] == "#"
    if deeper:
        levels.pop()
    return Pattern(tuple(None if level == "+" else level for level in levels), deeper)


def compile(query: ScopeQuery) -> Callable[[Entity], bool]:  # noqa: A001  # always used as scope_query.compile
    """The query as a function on entities."""
    return lambda entity: any(_all_match(patterns, entity.scopes) for patterns in query)


def _all_match(patterns: Sequence[Pattern], scopes: Sequence[str]) -> bool:
    return all(any(map(pattern.matches, scopes)) for pattern in patterns)
