"""A query as text again, in the names of a reader: the way back from `ngsi.query.parse`."""

import orjson

from ngsi.context import Context
from ngsi.moments import Moment
from ngsi.pattern import Pattern
from ngsi.query_tree import (
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
    PointsTo,
    Target,
)


def text(node: Node, context: Context) -> str:
    """The query; `parse(text(node, context), context) == node`, as far as the names of the context allow."""
    match node:
        case And(terms):
            return ";".join(_grouped(term, context, (And, Or)) for term in terms)
        case Or(terms):
            return "|".join(_grouped(term, context, (Or,)) for term in terms)
        case Exists(target):
            return target_text(target, context)
        case Absent(target):
            return f"!{target_text(target, context)}"
        case Compare(target, sign, operand):
            return f"{target_text(target, context)}{sign}{_operand(operand)}"
        case PointsTo(relationship, ids, negated):
            return f"{context.compact(relationship)}{'!=' if negated else '=='}{','.join(map(_quoted, sorted(ids)))}"


def target_text(target: Target, context: Context) -> str:
    """What a term looks at, such as temperature.observedAt, address[city] or owner{Person:age}."""
    if isinstance(target, Linked):
        types = f"{','.join(map(context.compact, target.types))}:" if target.types else ""
        return f"{context.compact(target.relationship)}{{{types}{target_text(target.target, context)}}}"
    return _path(target, context)


def _path(path: Path, context: Context) -> str:
    names = [context.compact(name) for name in path.names]
    if path.member is not None:
        names.append(path.member)
    return ".".join(names) + (f"[{'.'.join(path.inside)}]" if path.inside else "")


def _grouped(term: Node, context: Context, wider: tuple[type, ...]) -> str:
    """The term, in parentheses where it would not hold together otherwise."""
    written = text(term, context)
    return f"({written})" if isinstance(term, wider) else written


def _operand(operand: OneOf | Between | Pattern) -> str:
    match operand:
        case OneOf(literals):
            return ",".join(map(_literal, literals))
        case Between(low, high):
            return f"{_literal(low)}..{_literal(high)}"
        case Pattern(source):
            # Between quotes a pattern stands as it is: its backslashes are its own.
            return source if '"' in source else f'"{source}"'


def _literal(literal: Literal) -> str:
    if isinstance(literal, Moment):
        fraction = f".{literal.fraction}" if literal.fraction else ""
        return f"{literal.base}{fraction}{'' if literal.kind == 'Date' else 'Z'}"
    if isinstance(literal, str):
        return _quoted(literal)
    return orjson.dumps(literal).decode()


def _quoted(content: str) -> str:
    return orjson.dumps(content).decode()
