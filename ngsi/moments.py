"""Dates and times as values to compare (clause 4.6.3): by the moment they mean, however they are spelled.

    DateTime  2026-03-01T08:30:00[.f{1,6}]Z      Date  2026-03-01      Time  08:30:00[.f{1,6}]Z

Two spellings of one moment (`…00Z`, `…00.000Z`) are equal. A moment is held as its text without the `Z` and without
trailing zeros of the fraction: the text order of such texts is the order of the moments, so no calendar is needed.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from ngsi.vocabulary import NGSI_LD

_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)"
_FRACTION_DIGITS_MAX = 6

SHAPES = {
    "DateTime": rf"{_DATE}T{_TIME}(?:[.,][0-9]{{1,6}})?Z",
    "Date": _DATE,
    "Time": rf"{_TIME}(?:[.,][0-9]{{1,6}})?Z",
}
"""Kind → the regular expression of its texts, in the syntax that Python and PCRE share, without anchors."""

MOMENT_TYPES = {kind: NGSI_LD + kind for kind in SHAPES}
"""Kind → the type in `@type` of a typed value, besides the short name (clause 4.6.3)."""

SEPARATORS = ".,"
"""What may stand before the fraction; the comma is accepted from clients."""

_KINDS = {kind: re.compile(shape) for kind, shape in SHAPES.items()}
_LONGEST_CHARS = len("2026-03-01T08:30:00.123456Z")


@dataclass(frozen=True)
class Moment:
    """A point of a time line: of all time (DateTime), of days (Date), of one day (Time).

    `base` is the text up to the seconds, `fraction` the digits after them without trailing zeros.
    """

    kind: str
    base: str
    fraction: str = ""

    @cached_property
    def order(self) -> str:
        """A text whose order among moments of one kind is their order in time."""
        return f"{self.base}.{self.fraction}" if self.fraction else self.base

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """Every text that means this moment; at most 13."""
        if self.kind == "Date":
            return (self.base,)
        padded = [self.fraction.ljust(digits, "0") for digits in range(1, _FRACTION_DIGITS_MAX + 1)]
        digits = dict.fromkeys(text for text in padded if len(text) >= len(self.fraction))
        whole = () if self.fraction else (f"{self.base}Z",)
        return (*whole, *(f"{self.base}{separator}{text}Z" for separator in SEPARATORS for text in digits))


def moment(text: str) -> Moment | None:
    """The moment that a text means, None when it is not a DateTime, Date or Time."""
    if len(text) > _LONGEST_CHARS or not text[:1].isdigit():
        return None
    for kind, shape in _KINDS.items():
        if shape.fullmatch(text):
            whole, _, fraction = text.removesuffix("Z").replace(",", ".").partition(".")
            return Moment(kind, whole, fraction.rstrip("0"))
    return None
