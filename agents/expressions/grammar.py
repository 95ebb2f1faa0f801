r"""From the text of an expression to its tree.

    expression = choice
    choice     = binary [ "?" [ choice ] ":" choice ]
    binary     = unary *( operator unary )              ; by precedence, from the left
    operator   = "||" / "&&"                            ; 10
               / "==" / "!=" / ">=" / "<=" / ">" / "<" / "in"  ; 20
               / "+" / "-"                              ; 30
               / "*" / "/" / "//"                       ; 40, "//" rounds down
               / "%" / "^"                              ; 50
    unary      = ( "!" / "-" ) unary / chain
    chain      = primary *( "." name / "[" expression "]" / "|" name [ "(" list ")" ] )
    primary    = number / text / name / "." name / "(" expression ")" / "[" list "]" / "{" members "}"
    list       = [ expression *( "," expression ) ]
    members    = [ member *( "," member ) ]
    member     = ( name / text ) ":" expression
    text       = DQUOTE *char DQUOTE / "'" *char "'"    ; a backslash takes the next character as it is
    comment    = "#" up to the end of the line

A transform binds tighter than any operator: `a + b|length` is `a + (b|length)`.
"""

import re
from typing import Final, NoReturn

from agents.errors import InvalidExpression
from agents.expressions.tree import (
    Array,
    Binary,
    Conditional,
    Filter,
    Here,
    Literal,
    Member,
    Node,
    Not,
    Object,
    Transform,
    Variable,
)

LENGTH_MAX: Final = 10_000
"""Characters of an expression."""
DEPTH_MAX: Final = 50
"""Parentheses, brackets, choices and signs inside one another."""

_PRECEDENCE: Final = {
    **dict.fromkeys(("||", "&&"), 10),
    **dict.fromkeys(("==", "!=", ">=", "<=", ">", "<", "in"), 20),
    **dict.fromkeys(("+", "-"), 30),
    **dict.fromkeys(("*", "/", "//"), 40),
    **dict.fromkeys(("%", "^"), 50),
}
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "undefined": None}
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>[^\W\d][\w$]*|\$[\w$]*)
      | (?P<sign>\|\||&&|==|!=|>=|<=|//|[-+*/%^<>!?:.,|()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse(text: str) -> Node:
    """The tree of an expression; `InvalidExpression` says where it is wrong and what was expected there."""
    if len(text) > LENGTH_MAX:
        raise InvalidExpression(f"An expression of {len(text)} characters is longer than {LENGTH_MAX}")
    return _Parser(text).whole()


class _Parser:
    """Recursive descent: one method for a production of the grammar above, by the same name."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._relative = False
        self._next(0)

    def whole(self) -> Node:
        node = self.choice()
        if self._kind != "end":
            self._refuse("an operator or the end")
        return node

    def choice(self) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self._refuse(f"nothing deeper than {DEPTH_MAX} levels")
        node = self.binary(0)
        if self._take("?"):
            then = None if self._sign == ":" else self.choice()
            self._require(":")
            node = Conditional(node, then, self.choice())
        self._depth -= 1
        return node

    def binary(self, least: int) -> Node:
        node = self.unary()
        while (precedence := _PRECEDENCE.get(self._operator(), -1)) > least:
            operator = self._operator()
            self._advance()
            node = Binary(operator, node, self.binary(precedence))
        return node

    def unary(self) -> Node:
        if self._sign not in ("!", "-"):
            return self.chain()
        sign = self._sign
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self._refuse(f"nothing deeper than {DEPTH_MAX} levels")
        self._advance()
        operand = self.unary()
        self._depth -= 1
        return Not(operand) if sign == "!" else Binary("-", Literal(0), operand)

    def chain(self) -> Node:
        node = self.primary()
        while True:
            if self._take("."):
                node = Member(node, self._name("the name of a member"))
            elif self._take("["):
                outer, self._relative = self._relative, False
                test = self.choice()
                node = Filter(node, test, self._relative)
                self._relative = outer
                self._require("]")
            elif self._take("|"):
                name = self._name("the name of a transform")
                arguments = self.list(")") if self._take("(") else ()
                node = Transform(node, name, arguments)
            else:
                return node

    def primary(self) -> Node:
        kind, word = self._kind, self._word
        if kind == "number":
            self._advance()
            return Literal(float(word) if any(sign in word for sign in ".eE") else int(word))
        if kind == "text":
            return Literal(self._quoted())
        if kind == "name":
            self._advance()
            return Literal(_CONSTANTS[word]) if word in _CONSTANTS else Variable(word)
        if self._take("."):
            self._relative = True
            return Here(self._name("the name of a member"))
        if self._take("("):
            node = self.choice()
            self._require(")")
            return node
        if self._take("["):
            return Array(self.list("]"))
        if not self._take("{"):
            self._refuse("a value")
        return self.members()

    def list(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._take(end):
            if items:
                self._require(",")
            items.append(self.choice())
        return tuple(items)

    def members(self) -> Object:
        members: list[tuple[str, Node]] = []
        while not self._take("}"):
            if members:
                self._require(",")
            name = self._quoted() if self._kind == "text" else self._name("the name of a member")
            self._require(":")
            members.append((name, self.choice()))
        return Object(tuple(members))

    def _operator(self) -> str:
        return self._word if self._kind == "sign" or self._word == "in" else ""

    def _quoted(self) -> str:
        word = self._word
        self._advance()
        return _ESCAPE.sub(r"\1", word[1:-1])

    def _name(self, expected: str) -> str:
        if self._kind != "name":
            self._refuse(expected)
        word = self._word
        self._advance()
        return word

    def _take(self, sign: str) -> bool:
        if self._sign != sign:
            return False
        self._advance()
        return True

    def _require(self, sign: str) -> None:
        if not self._take(sign):
            self._refuse(f"{sign!r}")

    def _advance(self) -> None:
        self._next(self._at + len(self._word))

    def _next(self, start: int) -> None:
        blank = _BLANK.match(self._text, start)
        self._at = start if blank is None else blank.end()
        token = _TOKEN.match(self._text, self._at)
        if token is not None:
            self._kind, self._word = token.lastgroup or "", token[0]
        elif self._at == len(self._text):
            self._kind, self._word = "end", ""
        else:
            self._kind, self._word = "bad", ""
        self._sign = self._word if self._kind == "sign" else ""

    def _refuse(self, expected: str) -> NoReturn:
        rest = self._text[self._at : self._at + 20]
        found = f"there is {rest!r}" if rest else "the expression ends"
        raise InvalidExpression(f"Expression {self._text[:200]!r}: expected {expected} at {self._at}, where {found}")
