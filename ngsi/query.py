r"""The NGSI-LD query language, parameter `q` (clause 4.9), as a syntax tree.

    query      = either
    either     = both *( "|" both )
    both       = term *( ";" term )                        ; AND binds tighter than OR
    term       = "(" either ")" / "!" target / target [ comparison ]
    target     = linked / path
    linked     = name "{" [ types ":" ] target "}"         ; an element of the entities a Relationship points to
    types      = type *( "," type )                        ; short names
    path       = name *( "." name ) [ inside ]             ; attribute, sub-attribute, …, or a member such as observedAt
    inside     = "[" member *( "." member ) "]"            ; raw keys into the value; a language tag or "*"
    comparison = ( "==" / "!=" ) choice / ( ">" / ">=" / "<" / "<=" ) literal / ( "~=" / "!~=" ) pattern
    choice     = literal ".." literal / literal *( "," literal )
    literal    = quoted / bare                             ; ordered or in a range: no boolean, no bare word
    quoted     = DQUOTE *char DQUOTE                       ; JSON escapes
    bare       = number / "true" / "false" / DateTime / Date / Time / URI / word
    pattern    = DQUOTE expression DQUOTE / expression     ; ngsi.pattern; bare: up to ";" "|" ")" outside groups

Beyond the clause's grammar: `!target` (is not there), and a bare word as a string, as many clients write it. A name
may be an IRI; a "." after its last "/" or "#" separates names. A value with blanks or any of "<>();|, is quoted.
"""

import math
import re
from typing import NoReturn
from urllib.parse import unquote

import orjson

from ngsi import pattern as patterns
from ngsi.context import Context
from ngsi.errors import BadRequestData
from ngsi.moments import SHAPES, Moment, moment
from ngsi.names import is_name, is_uri, show
from ngsi.pattern import Pattern
from ngsi.query_tree import (
    ENTITY_MEMBERS,
    QUERY_MEMBERS,
    Absent,
    And,
    Between,
    Compare,
    Exists,
    Linked,
    Literal,
    Node,
    OneOf,
    Or,
    Path,
    Target,
    attributes,
)
from ngsi.vocabulary import RESERVED_NAMES

__all__ = ["attributes", "decoded", "parse"]

DEPTH_MAX = 16
"""Parentheses, or braces, inside one another."""
TERMS_MAX = 200
LITERALS_MAX = 1000
"""Values in all of a query."""
STEPS_MAX = 16
"""Names in one path, members in one pair of brackets."""

_PREFIX_ENDS = ":/?#[]@"
"""What the IRI of a prefix ends with (JSON-LD 1.1, gen-delims), which that of a type hardly does."""

_EXAMPLE = 'temperature>20;(status=="open"|zone==urn:ngsi-ld:Zone:hall)'
_STOP = r"\s=!<>~;|()\[\]{}\","
_NAME = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+-]*://[^{_STOP}]*[/#])?[^{_STOP}.]+")
_TYPES = re.compile(rf"([^{_STOP}.:]+(?:,[^{_STOP}.:]+)*):(?!//)")
_MEMBER = re.compile(r"[^\x00-\x1f.\[\]\"]+")
_OPERATOR = re.compile(r"==|!=|>=|<=|!~=|~=|>|<")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
# A DateTime first: a comma may stand before its fraction, and else ends the value.
_BARE = re.compile(rf'(?:{SHAPES["DateTime"]}|{SHAPES["Time"]}|[^\s"<>();|,]+?)(?=\.\.|[\s"<>();|,]|$)')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BARE_PATTERN = re.compile(r"(?:\\.|\[\^?\]?(?:\\.|\[:[a-z]+:\]|[^\]\\])*\]|[^\\\[();|])+", re.DOTALL)
_INTEGERS = range(-(2**63), 2**63)
_INTEGER_CHARS_MAX = len(str(-(2**63)))


def parse(text: str, context: Context, *, expand_values: frozenset[str] = frozenset()) -> Node:
    """The tree of a query, its names expanded by the context.

    `expand_values`: names of attributes whose string literals are expanded as vocabulary terms (clause 4.9).
    `jsonKeys` needs nothing here: members in brackets are raw keys of the value for every kind of attribute.
    Raises BadRequestData that names the text, the place, what was expected there, and a query that is right.
    """
    expanded = frozenset(map(context.expand, expand_values))
    return _Parser(text, context, expanded).query()


def decoded(text: str) -> str:
    """A query that stands in a JSON body, where clients write it with or without the percent-encoding of a URL."""
    return unquote(text) if "%" in text else text


class _Parser:
    """Recursive descent: one method for a production of the grammar above, by the same name."""

    def __init__(self, text: str, context: Context, expanded: frozenset[str]) -> None:
        self._text = text
        self._context = context
        self._expanded = expanded
        self._at = 0
        self._depth = 0
        self._terms = 0
        self._literals = 0

    def query(self) -> Node:
        if not self._text.isprintable() and any(0xD800 <= ord(letter) <= 0xDFFF for letter in self._text):
            self._refuse("Unicode text without lone surrogates")
        node = self.either()
        if self._at < len(self._text):
            self._refuse("';', '|', an operator or the end" if self._text[self._at] != ")" else "a '(' before this ')'")
        return node

    def either(self) -> Node:
        terms = [self.both()]
        while self._accept("|"):
            terms.append(self.both())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def both(self) -> Node:
        terms = [self.term()]
        while self._accept(";"):
            terms.append(self.term())
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def term(self) -> Node:
        self._terms += 1
        if self._terms > TERMS_MAX:
            self._refuse(f"at most {TERMS_MAX} terms")
        if self._accept("("):
            self._deeper()
            node = self.either()
            self._require(")")
            self._depth -= 1
            return node
        if self._accept("!"):
            return Absent(self.target())
        target = self.target()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            return Exists(target)
        self._at = operator.end()
        return self.comparison(target, operator[0])

    def target(self) -> Target:
        start = self._at
        found = _NAME.match(self._text, self._at)
        if found is not None and self._text.startswith("{", found.end()):
            return self.linked(found[0])
        self._at = start
        return self.path()

    def linked(self, name: str) -> Linked:
        relationship = self._attribute(name)
        self._at += len(name)
        self._require("{")
        self._deeper()
        types = self.types()
        target = self.target()
        self._require("}")
        self._depth -= 1
        return Linked(relationship, types, target)

    def types(self) -> tuple[str, ...]:
        found = _TYPES.match(self._text, self._at)
        if found is None:
            return ()
        listed = found[1].split(",")
        # `{a:b}` is the compact IRI a:b when the context has such a prefix, and otherwise the attribute b of type a.
        if len(listed) == 1 and self._is_prefix(listed[0]):
            return ()
        keys = tuple(map(self._key, listed))
        self._at = found.end()
        return keys

    def path(self) -> Path:
        texts = [self.name()]
        while self._accept("."):
            texts.append(self.name())
        if len(texts) > STEPS_MAX:
            self._refuse(f"at most {STEPS_MAX} names in a path")
        member = self._member(texts[-1])
        keys = tuple(map(self._attribute, texts[:-1] if member else texts))
        if member and not keys and member not in ENTITY_MEMBERS:
            self._refuse(f"an attribute before {member}, as in temperature.{member}; an entity has none of its own")
        return Path(keys, member, self.inside(member))

    def name(self) -> str:
        found = _NAME.match(self._text, self._at)
        if found is None:
            self._refuse("the name of an attribute")
        if not is_name(found[0]):
            self._refuse(f"the name of an attribute, which {show(found[0])} cannot be")
        self._at = found.end()
        return found[0]

    def inside(self, member: str | None) -> tuple[str, ...]:
        if not self._text.startswith("[", self._at):
            return ()
        if member:
            self._refuse(f"an operator: {member} has no members")
        self._at += 1
        steps = [self.member()]
        while self._accept("."):
            steps.append(self.member())
        if len(steps) > STEPS_MAX:
            self._refuse(f"at most {STEPS_MAX} members in brackets")
        self._require("]")
        return tuple(steps)

    def member(self) -> str:
        found = _MEMBER.match(self._text, self._at)
        if found is None:
            self._refuse("a member of the value, or a language tag, as in address[city] or label[en]")
        self._at = found.end()
        return found[0]

    def comparison(self, target: Target, operator: str) -> Compare:
        if operator in ("~=", "!~="):
            return Compare(target, operator, self.pattern())
        expand = self._compares_terms(target)
        if operator in ("==", "!="):
            return Compare(target, operator, self.choice(expand))
        literal = self._comparable(expand)
        if self._text.startswith(("..", ","), self._at):
            self._refuse(f"one value after {operator}; ranges and lists go with == and !=")
        return Compare(target, operator, OneOf((literal,)))

    def choice(self, expand: bool) -> OneOf | Between:
        start = self._at
        literals = [self.literal(expand)]
        if self._text.startswith("..", self._at):
            self._at = start
            return self.range(expand)
        while self._accept(","):
            literals.append(self.literal(expand))
        return OneOf(tuple(literals))

    def range(self, expand: bool) -> Between:
        low = self._comparable(expand)
        self._require("..")
        high = self._comparable(expand)
        if _type(low) != _type(high):
            self._refuse("a range between two values of one type, such as 10..20")
        return Between(low, high)

    def literal(self, expand: bool) -> Literal:
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

    def _compares_terms(self, target: Target) -> bool:
        while isinstance(target, Linked):
            target = target.target
        return target.member is None and bool(target.names) and target.names[-1] in self._expanded

    def _member(self, name: str) -> str | None:
        if name in RESERVED_NAMES:
            return name if name in QUERY_MEMBERS else None
        key = self._key(name)
        return short if (short := key.removeprefix("ngsi-ld:")) != key and short in QUERY_MEMBERS else None

    def _attribute(self, name: str) -> str:
        if name in QUERY_MEMBERS:
            self._refuse(f"{name} at the end of the path only, as in temperature.{name}")
        if name in RESERVED_NAMES:
            self._refuse(f"the name of an attribute: {name!r} is a member; the value is meant by the attribute's name")
        return self._key(name)

    def _key(self, name: str) -> str:
        try:
            return self._context.expand(name)
        except BadRequestData as error:
            raise BadRequestData(f"q {show(self._text)}: {error.detail}") from error

    def _is_prefix(self, name: str) -> bool:
        compact = f"{name}:x"
        expanded = self._context.expand_iri(compact)
        return expanded != compact and expanded[-2] in _PREFIX_ENDS

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
