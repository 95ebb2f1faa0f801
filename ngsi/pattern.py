"""Regular expressions of clients: of `q` (`~=`, `!~=`) and of idPattern. Bounded in time wherever they are run.

A pattern is searched in a text (clause 4.9 as the conformance tests read it), not matched against all of it. It is
parsed (`ngsi.pattern_parser`) and written anew in the one spelling that RE2 (in memory) and PCRE (in MongoDB) read
alike, so that both pick the same texts; docs/decisions/0003-regular-expressions.md tells why.

RE2 takes linear time for any pattern. PCRE backtracks. What would take it exponential time is refused: a repeated group
in which the next character does not tell how to go on, such as `(a+)+`. What may take it polynomial time, such as
`a.*b.*c`, is searched in texts of at most TEXT_MAX characters; in a longer one it counts as not found, on both roads.
"""

from dataclasses import dataclass
from functools import lru_cache

import re2  # type: ignore[import-untyped]  # the wheel ships no types

from ngsi.errors import BadRequestData
from ngsi.names import show
from ngsi.pattern_cost import doubtful, steady, trimmed, weight
from ngsi.pattern_parser import read
from ngsi.pattern_tree import (
    render,
)

LENGTH_MAX = 512
"""Characters of a pattern."""
TEXT_MAX = 1000
"""Characters of a text in which a pattern that may take polynomial time is looked for."""

# One attempt from the beginning, so that PCRE's own limit of steps counts for the whole text and not for each place.
_ANY = r"[\x{{0}}-\x{{10ffff}}]"
_WITHIN_BOUND = rf"^(?={_ANY}{{{{0,{TEXT_MAX}}}}}\z){_ANY}*?(?:{{}})"
_WEIGHT_MAX = 2000


@dataclass(frozen=True)
class Pattern:
    """A regular expression: as the client wrote it, and in the spelling that RE2 and PCRE share.

    `bounded`: it is searched in texts of at most TEXT_MAX characters only.
    """

    source: str
    shared: str
    bounded: bool

    @property
    def pcre(self) -> str:
        """What to give to PCRE, without flags; a literal beginning after "^" is left for an index to be used."""
        return _WITHIN_BOUND.format(self.shared) if self.bounded else self.shared

    def search(self, text: str) -> bool:
        """Whether the pattern occurs in the text. Linear in its length."""
        if self.bounded and len(text) > TEXT_MAX:
            return False
        return _compiled(self.shared).search(text) is not None


@lru_cache(maxsize=1024)
def parse(source: str) -> Pattern:
    """The pattern that a client wrote; BadRequestData when it is not one, is too large or could run too long."""
    if len(source) > LENGTH_MAX:
        raise BadRequestData(
            f"Regular expression {show(source)} has {len(source)} characters; at most {LENGTH_MAX} are accepted"
        )
    tree = read(source)
    if weight(tree) > _WEIGHT_MAX:
        raise BadRequestData(f"Regular expression {show(source)} is too large; use lower counts in its {{n,m}}")
    if doubtful(tree):
        raise BadRequestData(
            f"Regular expression {show(source)} repeats a part that can match one text in several ways, which could "
            "take exponential time; write the repetition once, as in ^a+$ for ^(a+)+$, or let its alternatives begin "
            "differently"
        )
    tree = trimmed(tree)
    pattern = Pattern(source, render(tree), not steady(tree))
    try:
        _compiled(pattern.shared)
    except re2.error as error:
        raise BadRequestData(f"Regular expression {show(source)} is too large: {error}") from error
    return pattern


@lru_cache(maxsize=1024)
def _compiled(text: str) -> "re2._Regexp":
    options = re2.Options()
    options.log_errors = False
    if r"\B" in text:
        # RE2 goes through the bytes of UTF-8, and would find the place inside of a character too.
        text = f"^{_ANY.format()}*?(?:{text})"
    return re2.compile(text, options)
