"""The values that a query compares with (clause 4.9), and the place in its text where a parser is.

The productions for terms and paths are in `ngsi.query`.
"""

import math
import re
from typing import NoReturn

import orjson

from ngsi import pattern as patterns
from ngsi.context import Context
from ngsi.errors import BadRequestData
from ngsi.moments import SHAPES, Moment, moment
from ngsi.names import is_uri, show
from ngsi.pattern import Pattern
from ngsi.query_tree import Between, Literal, OneOf

DEPTH_MAX = 16
"""Parentheses, or braces, inside one another."""
LITERALS_MAX = 1000
"""Values in all of a query."""

_EXAMPLE = 'temperature>20;(status=="open"|zone==urn:ngsi-ld:Zone:hall)'
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
# A DateTime first: a comma may stand before its fraction, and else ends the value.
_BARE = re.compile(rf'(?:{SHAPES["DateTime"]}|{SHAPES["Time"]}|[^\s"<>();|,]+?)(?=\.\.|[\s"<>();|,]|$)')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BARE_PATTERN = re.compile(r"(?:\\.|\[\^?\]?(?:\\.|\[:[a-z]+:\]|[^\]\\])*\]|[^\\\[();|])+", re.DOTALL)
_INTEGERS = range(-(2**63), 2**63)
_INTEGER_CHARS_MAX = len(str(-(2**63)))


class QueryValues:
    """Recursive descent: one method for a production of the grammar in `ngsi.query`, by the same name."""

    def __init__(self, text: str, context: Context) -> None:
        self._text = text
        self._context = context
        self._at = 0
        self._depth = 0
        self._literals = 0

    def choice(self, expand: bool) -> OneOf | Between:
        """What `==` and `!=` compare with; `expand`: strings are terms of the @context."""
        start = self._at
        literals = [self.literal(expand)]
        if self._text.startswith("..", self._at):
            self._at = start
            return self.range(expand)
        while self._accept(","):
            literals.append(self.literal(expand))
        return OneOf(tuple(literals))

    def range(self, expand: bool) -> Between:
        """Two values of one type, from the first to the second."""
        low = self._comparable(expand)
        self._require("..")
        high = self._comparable(expand)
        if _type(low) != _type(high):
            self._refuse("a range between two values of one type, such as 10..20")
        return Between(low, high)

    def literal(self, expand: bool) -> Literal:
        """One value."""
        self._literals += 1
        if self._literals > LITERALS_MAX:
            self._refuse(f"at most {LITERALS_MAX} values")
        if self._text.startswith('"', self._at):
            value: Literal = self.quoted()
        else:
            value = self.bare()
        if not isinstance(value, str):
            return value
        return self._context.expand_iri(value) if expand else value

    def quoted(self) -> str | Moment:
        """A string, or the DateTime that it spells."""
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            self._refuse("a closing quotation mark")
        try:
            value = str(orjson.loads(found[0]))
        except orjson.JSONDecodeError:
            self._refuse('a string with the escapes of JSON, such as "a \\"quoted\\" word"')
        self._at = found.end()
        instant = moment(value)
        return instant if instant is not None and instant.kind == "DateTime" else value

    def bare(self) -> Literal:
        """A value without quotes."""
        found = _BARE.match(self._text, self._at)
        if found is None:
            self._refuse('a value: a number, true, false, a DateTime, a URI or a "quoted string"')
        word = found[0]
        value = _bare_value(word)
        if value is None:
            self._refuse(
                f'a value; {show(word)} is no number, DateTime or URI, so as a string it is written "in quotes"'
            )
        self._at = found.end()
        return value

    def pattern(self) -> Pattern:
        """A regular expression, with or without quotes."""
        quoted = _QUOTED.match(self._text, self._at)
        start, end = self._at, self._bare_pattern_end() if quoted is None else quoted.end()
        if start == end:
            self._refuse("a regular expression")
        self._at = end
        return patterns.parse(self._text[start:end] if quoted is None else quoted[0][1:-1])

    def _bare_pattern_end(self) -> int:
        """Where an expression without quotes ends: at a ";", "|" or ")" that is neither escaped nor in a group."""
        at, groups = self._at, 0
        # Beyond the length that is accepted anyway there is nothing to look for.
        limit = min(len(self._text), at + patterns.LENGTH_MAX + 1)
        while at < limit:
            piece = _BARE_PATTERN.match(self._text, at, limit)
            if piece is not None:
                at = piece.end()
                continue
            if self._text[at] in ";|)" and not groups:
                break
            groups += {"(": 1, ")": -1}.get(self._text[at], 0)
            at += 1
        return at

    def _comparable(self, expand: bool) -> Literal:
        start = self._at
        value = self.literal(expand)
        if isinstance(value, bool) or (isinstance(value, str) and self._text[start] != '"'):
            self._at = start
            self._refuse("a number, a DateTime or a quoted string, which can be put in order")
        return value

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self._refuse(f"at most {DEPTH_MAX} parentheses or braces inside one another")

    def _accept(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _require(self, text: str) -> None:
        if not self._accept(text):
            self._refuse(f"'{text}'")

    def _refuse(self, expected: str) -> NoReturn:
        if self._text[self._at : self._at + 1].isspace():
            expected += "; a blank stands within quotes only"
        raise BadRequestData(
            f"q {show(self._text)}: at character {self._at + 1} expected {expected}; a right query is {_EXAMPLE}"
        )


def _bare_value(word: str) -> Literal | None:
    """What a value without quotes means; None when it has to be quoted."""
    number = _NUMBER.fullmatch(word)
    if number is not None:
        return _number(word, number[1] is None and number[2] is None)
    instant = moment(word)
    if instant is not None:
        return instant
    if word in ("true", "false"):
        return word == "true"
    return word if word[0].isalpha() or is_uri(word) else None


def _number(word: str, whole: bool) -> int | float | None:
    if whole and len(word) <= _INTEGER_CHARS_MAX and int(word) in _INTEGERS:
        return int(word)
    value = float(word)
    return None if math.isinf(value) else value


def _type(literal: Literal) -> str:
    if isinstance(literal, Moment):
        return literal.kind
    return "string" if isinstance(literal, str) else "number"
