"""From the tree of an expression to a function of the context."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from agents.errors import ExpressionFailed, InvalidExpression
from agents.expressions import javascript
from agents.expressions.grammar import parse
from agents.expressions.transforms import OF_NOTHING, TRANSFORMS
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

Variables = Mapping[str, object]
_Evaluation = Callable[[Variables, object], object]
"""(context, element under test) -> value."""


class Expression:
    """A compiled expression. Called with the values it may read; it gives a JSON value, None for nothing.

    Raises `ExpressionFailed` where a transform cannot take what it is given. What is missing makes an operation give
    None; a comparison with it does not hold.
    """

    __slots__ = ("_evaluate", "names", "text")

    def __init__(self, text: str, names: frozenset[str], evaluate: _Evaluation) -> None:
        self.text = text
        self.names = names
        """The variables that it reads."""
        self._evaluate = evaluate

    def __call__(self, variables: Variables) -> object:
        """The value of the expression over these values."""
        return self._evaluate(variables, None)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def compile_expression(text: str) -> Expression:
    """The expression of a text; `InvalidExpression` says where it is wrong, and names a transform there is not."""
    tree = parse(text)
    return Expression(text, frozenset(_names(tree)), _compiled(tree))


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Variable):
        yield node.name
    for part in _parts(node):
        yield from _names(part)


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Member(subject, _):
            return (subject,)
        case Filter(subject, test, _):
            return (subject, test)
        case Transform(subject, _, arguments):
            return (subject, *arguments)
        case Not(operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Conditional(test, then, otherwise):
            return (test, otherwise) if then is None else (test, then, otherwise)
        case Array(items):
            return items
        case Object(members):
            return tuple(value for _, value in members)
    return ()


def _compiled(node: Node) -> _Evaluation:
    match node:
        case Literal(value):
            return lambda variables, here: value
        case Variable(name):
            return lambda variables, here: variables.get(name)
        case Here(name):
            return lambda variables, here: _member(here, name)
        case Member(subject, name):
            of = _compiled(subject)
            return lambda variables, here: _member(of(variables, here), name)
        case Filter(subject, test, is_relative):
            return _filter(_compiled(subject), _compiled(test), is_relative=is_relative)
        case Transform(subject, name, arguments):
            return _transform(_compiled(subject), name, [_compiled(argument) for argument in arguments])
        case Not(operand):
            negated = _compiled(operand)
            return lambda variables, here: not javascript.is_true(negated(variables, here))
        case Binary(operator, left, right):
            return _binary(operator, _compiled(left), _compiled(right))
        case Conditional(test, then, otherwise):
            return _conditional(_compiled(test), None if then is None else _compiled(then), _compiled(otherwise))
        case Array(items):
            parts = [_compiled(item) for item in items]
            return lambda variables, here: [part(variables, here) for part in parts]
        case Object(members):
            named = [(name, _compiled(value)) for name, value in members]
            return lambda variables, here: {name: value(variables, here) for name, value in named}


def _member(subject: object, name: str) -> object:
    if isinstance(subject, list):
        subject = subject[0] if subject else None
    if isinstance(subject, Mapping):
        return subject.get(name)
    return len(javascript.utf16(subject)) if isinstance(subject, str) and name == "length" else None


def _filter(subject: _Evaluation, test: _Evaluation, *, is_relative: bool) -> _Evaluation:
    def elements(variables: Variables, here: object) -> object:
        found = subject(variables, here)
        of = found if isinstance(found, list) else [] if found is None else [found]
        return [element for element in of if javascript.is_true(test(variables, element))]

    def element(variables: Variables, here: object) -> object:
        found, wanted = subject(variables, here), test(variables, here)
        if isinstance(wanted, bool):
            return found if wanted else None
        if isinstance(found, Mapping):
            return found.get(javascript.text(wanted))
        if isinstance(found, list | str) and javascript.is_number(wanted):
            place: Any = wanted
            return found[int(place)] if 0 <= place < len(found) and place == int(place) else None
        return None

    return elements if is_relative else element


def _transform(subject: _Evaluation, name: str, arguments: list[_Evaluation]) -> _Evaluation:
    transform = TRANSFORMS.get(name)
    if transform is None:
        raise InvalidExpression(f"There is no transform {name!r}; there are {', '.join(sorted(TRANSFORMS))}")
    of_nothing = name in OF_NOTHING

    def evaluate(variables: Variables, here: object) -> object:
        value = subject(variables, here)
        if value is None and not of_nothing:
            return None
        try:
            return transform(value, *[argument(variables, here) for argument in arguments])
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise ExpressionFailed(f"transform {name} cannot take this value or its arguments") from error

    return evaluate


def _conditional(test: _Evaluation, then: _Evaluation | None, otherwise: _Evaluation) -> _Evaluation:
    def evaluate(variables: Variables, here: object) -> object:
        tested = test(variables, here)
        if javascript.is_true(tested):
            return tested if then is None else then(variables, here)
        return otherwise(variables, here)

    return evaluate


def _binary(operator: str, left: _Evaluation, right: _Evaluation) -> _Evaluation:
    if operator == "&&":

        def both(variables: Variables, here: object) -> object:
            first = left(variables, here)
            return right(variables, here) if javascript.is_true(first) else first

        return both
    if operator == "||":

        def either(variables: Variables, here: object) -> object:
            first = left(variables, here)
            return first if javascript.is_true(first) else right(variables, here)

        return either
    operation = _OPERATIONS[operator]
    return lambda variables, here: operation(left(variables, here), right(variables, here))


def _arithmetic(operation: Callable[[float, float], float]) -> Callable[[object, object], object]:
    def apply(left: object, right: object) -> object:
        if left is None or right is None:
            return None
        try:
            return javascript.plain(operation(javascript.number(left), javascript.number(right)))
        except (ZeroDivisionError, OverflowError, ValueError):
            return None  # infinite or not a number, neither of which is a value

    return apply


def _is_in(left: object, right: object) -> bool:
    if isinstance(right, str):
        return left is not None and javascript.text(left) in right
    return isinstance(right, list) and any(javascript.is_same(left, item) for item in right)


_OPERATIONS: Final[dict[str, Callable[[object, object], object]]] = {
    "+": javascript.added,
    "-": _arithmetic(lambda left, right: left - right),
    "*": _arithmetic(lambda left, right: left * right),
    "/": _arithmetic(lambda left, right: left / right),
    "//": _arithmetic(lambda left, right: math.floor(left / right)),
    "%": _arithmetic(math.fmod),
    "^": _arithmetic(math.pow),
    "==": javascript.is_equal,
    "!=": lambda left, right: not javascript.is_equal(left, right),
    "<": javascript.is_less,
    "<=": lambda left, right: javascript.is_less(left, right, or_equal=True),
    ">": lambda left, right: javascript.is_less(right, left),
    ">=": lambda left, right: javascript.is_less(right, left, or_equal=True),
    "in": _is_in,
}
