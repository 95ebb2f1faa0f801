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

import re
from urllib.parse import unquote

from ngsi.context import Context
from ngsi.errors import BadRequestData
from ngsi.names import is_name, show
from ngsi.query_tree import (
    ENTITY_MEMBERS,
    QUERY_MEMBERS,
    Absent,
    And,
    Compare,
    Exists,
    Linked,
    Node,
    OneOf,
    Or,
    Path,
    Target,
    attributes,
)
from ngsi.query_values import QueryValues
from ngsi.vocabulary import INNER_RESERVED_NAMES, RESERVED_NAMES

__all__ = ["attributes", "decoded", "parse"]

TERMS_MAX = 200
STEPS_MAX = 16
"""Names in one path, members in one pair of brackets."""

_PREFIX_ENDS = ":/?#[]@"
"""What the IRI of a prefix ends with (JSON-LD 1.1, gen-delims), which that of a type hardly does."""

_STOP = r"\s=!<>~;|()\[\]{}\","
_NAME = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+-]*://[^{_STOP}]*[/#])?[^{_STOP}.]+")
_TYPES = re.compile(rf"([^{_STOP}.:]+(?:,[^{_STOP}.:]+)*):(?!//)")
_MEMBER = re.compile(r"[^\x00-\x1f.\[\]\"]+")
_OPERATOR = re.compile(r"==|!=|>=|<=|!~=|~=|>|<")


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


class _Parser(QueryValues):
    """Recursive descent: one method for a production of the grammar above, by the same name; see also QueryValues."""

    def __init__(self, text: str, context: Context, expanded: frozenset[str]) -> None:
        super().__init__(text, context)
        self._expanded = expanded
        self._terms = 0

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
        relationship = self._attribute(name, RESERVED_NAMES)
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
        keys = tuple(
            self._attribute(text, INNER_RESERVED_NAMES if index else RESERVED_NAMES)
            for index, text in enumerate(texts[:-1] if member else texts)
        )
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

    def _compares_terms(self, target: Target) -> bool:
        while isinstance(target, Linked):
            target = target.target
        return target.member is None and bool(target.names) and target.names[-1] in self._expanded

    def _member(self, name: str) -> str | None:
        if name in RESERVED_NAMES:
            return name if name in QUERY_MEMBERS else None
        key = self._key(name)
        return short if (short := key.removeprefix("ngsi-ld:")) != key and short in QUERY_MEMBERS else None

    def _attribute(self, name: str, reserved: frozenset[str]) -> str:
        if name in QUERY_MEMBERS:
            self._refuse(f"{name} at the end of the path only, as in temperature.{name}")
        if name in reserved:
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
