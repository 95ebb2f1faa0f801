"""The syntax tree of an expression."""

from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, true or false; None for the names null and undefined."""

    value: object


@dataclass(frozen=True, slots=True)
class Variable:
    """A value of the context."""

    name: str


@dataclass(frozen=True, slots=True)
class Here:
    """`.name` inside brackets: a member of the element under test."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`subject.name`."""

    subject: "Node"
    name: str


@dataclass(frozen=True, slots=True)
class Filter:
    """`subject[test]`: the elements of which the test holds if it says `.name`, else the member it names."""

    subject: "Node"
    test: "Node"
    is_relative: bool


@dataclass(frozen=True, slots=True)
class Transform:
    """`subject|name(arguments)`."""

    subject: "Node"
    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`!operand`."""

    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Conditional:
    """`test ? then : otherwise`; `then` is None in `test ?: otherwise`, which gives the tested value itself."""

    test: "Node"
    then: Union["Node", None]
    otherwise: "Node"


@dataclass(frozen=True, slots=True)
class Array:
    """`[a, b]`."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Object:
    """`{name: value}`."""

    members: tuple[tuple[str, "Node"], ...]


Node = Literal | Variable | Here | Member | Filter | Transform | Not | Binary | Conditional | Array | Object
