"""A query (`ngsi.query`) as a filter on MongoDB documents of entities. The rules are those listed in `ngsi.evaluate`.

An attribute is an array of instances, so what concerns one instance stands in one `$elemMatch`. MongoDB looks into
arrays on its own: `{field: {$gt: 5}}` also means some element. Where the query language does not, `$not: {$type:
"array"}` stands beside it. The client's words get into the filter in three places only: names as keys (`ngsi.names`)
and members in brackets as steps of a path behind `attrs.`, values as operands of operators, never as a document.
"""

from collections.abc import Iterable
from typing import Any

from broker.storage.mongo_moments import moment_clauses
from ngsi.errors import NotSupported
from ngsi.moments import MOMENT_TYPES, SHAPES, Moment
from ngsi.pattern import Pattern
from ngsi.query_tree import (
    FIXED_MEMBERS,
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

Filter = dict[str, Any]
Operand = OneOf | Between | Pattern

_SECOND_CHARS = len("YYYY-MM-DDThh:mm:ss")
_EXISTS = {"$exists": True}
_NO_LIST: Filter = {"$not": {"$type": "array"}}
_ORDER = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_HOLDING_TEXT = ("value", "object", "vocab", "valueList", "objectList")
_HOLDING_ANY = ("value", "valueList")
_HOLDING_ONE_TEXT = ("value", "vocab")
_HOLDING_MEMBERS = ("value", "json")


def translate(node: Node, now: str) -> Filter:
    """The filter that finds the documents of the entities for which the query holds, at the time `now`.

    Of linked entities it must be known already which ones are meant (PointsTo); else NotSupported (501).
    """
    return _translate(node, unexpired(now))


def unexpired(now: str) -> Filter:
    """What an entity's document and an instance of an attribute are like that have not expired."""
    # A whole second sorts behind its fractions.
    return {"expiresAt": {"$not": {"$lte": now}, "$ne": f"{now[:_SECOND_CHARS]}Z"}}


def _translate(node: Node, living: Filter) -> Filter:
    match node:
        case And(terms):
            return {"$and": [_translate(term, living) for term in terms]}
        case Or(terms):
            return {"$or": [_translate(term, living) for term in terms]}
        case Exists(target):
            return _exists(_own(target), living)
        case Absent(target):
            return _not(_exists(_own(target), living))
        case Compare(target, sign, operand):
            return _compare(_own(target), sign, operand, living)
        case PointsTo(relationship, ids, negated):
            listed = {"$in": sorted(ids)}
            found = _in_instance(Path((relationship,)), {"$or": [{"object": listed}, {"objectList": listed}]}, living)
            return _not(found) if negated else found


def _own(target: Target) -> Path:
    if isinstance(target, Linked):
        raise NotSupported("q on an element of linked entities, name{…}, is not offered here")
    return target


def _exists(path: Path, living: Filter) -> Filter:
    if path.member is not None:
        test: Filter = {path.member: _EXISTS}
        return _in_instance(path, test, living) if path.names else test
    if not path.inside:
        return _in_instance(path, {}, living)
    found = [_all([*_guards(base, path.inside), {_inside(base, path): _EXISTS}]) for base in _bases_inside(path)]
    if path.inside == ("*",):
        found.append({"languageMap": _EXISTS})
    return _in_instance(path, _any(found), living)


def _compare(path: Path, sign: str, operand: Operand, living: Filter) -> Filter:
    if path.member is None:
        found = list(_in_value(path, sign, operand))
        if path.inside in ((), ("*",)):
            found += _in_languages(sign, operand)
        return _in_instance(path, _any(found), living)
    test = _all([{path.member: _EXISTS}, _test(path.member, sign, operand)])
    return _in_instance(path, test, living) if path.names else test


def _in_instance(path: Path, test: Filter, living: Filter) -> Filter:
    """Some instance of the attribute, or of the sub-attribute inside one, is like that and has not expired."""
    for name in reversed(path.names[1:]):
        test = {f"attrs.{name}": {"$elemMatch": _with(test, living)}}
    return {f"attrs.{path.names[0]}": {"$elemMatch": _with(test, living)}}


def _with(test: Filter, living: Filter) -> Filter:
    return _all([test, living]) if "expiresAt" in test else test | living


def _in_value(path: Path, sign: str, operand: Operand) -> Iterable[Filter]:
    """What an instance of any kind but LanguageProperty must be like (with a tag in the path: of any kind)."""
    if path.inside:
        for base in _bases_inside(path):
            field = _inside(base, path)
            yield _all([*_guards(base, path.inside), {field: _EXISTS}, _test(field, sign, operand)])
    elif sign == "!=":
        equal = [_test(base, "==", operand) for base in _bases("==", operand)]
        yield {"languageMap": {"$exists": False}, "$nor": equal}
    else:
        yield from (_test(base, sign, operand) for base in _bases(sign, operand))


def _bases(sign: str, operand: Operand) -> tuple[str, ...]:
    """The value members that can hold what compares so with the operand."""
    if sign == "==" and isinstance(operand, OneOf):
        return _HOLDING_TEXT if any(isinstance(literal, str) for literal in operand.literals) else _HOLDING_ANY
    return _HOLDING_ONE_TEXT


def _bases_inside(path: Path) -> tuple[str, ...]:
    tag = len(path.inside) == 1 and path.inside != ("*",)
    return (*_HOLDING_MEMBERS, "languageMap") if tag else _HOLDING_MEMBERS


def _inside(base: str, path: Path) -> str:
    return ".".join((base, *path.inside))


def _guards(base: str, inside: tuple[str, ...]) -> list[Filter]:
    """No list on the way to the last member: MongoDB would look into each of its elements."""
    return [{".".join((base, *inside[:depth])): _NO_LIST} for depth in range(len(inside))]


def _test(field: str, sign: str, operand: Operand) -> Filter:
    """What a value must be like; with `!=` it is up to the caller that there is one."""
    if isinstance(operand, Pattern):
        found = {field: _NO_LIST | {"$regex": operand.pcre}}
        return found if sign == "~=" else _all([{field: _NO_LIST | {"$type": "string"}}, {"$nor": [found]}])
    if sign == "!=":
        return {"$nor": [_test(field, "==", operand)]}
    if isinstance(operand, Between):
        return _all([_ordered(field, "<=", operand.high), _ordered(field, ">=", operand.low)])
    if sign in _ORDER:
        return _ordered(field, sign, operand.literals[0])
    return _equal(field, operand.literals)


def _equal(field: str, literals: tuple[Literal, ...]) -> Filter:
    values = [value for literal in literals for value in _spellings(literal)]
    moments = [literal for literal in literals if isinstance(literal, Moment)]
    typed = [_typed(field, moment.kind, {"$in": list(moment.spellings)}) for moment in moments]
    return _any([{field: {"$in": values}}, *typed])


def _spellings(literal: Literal) -> Iterable[Any]:
    return literal.spellings if isinstance(literal, Moment) else (literal,)


def _ordered(field: str, sign: str, literal: Literal) -> Filter:
    if not isinstance(literal, Moment):
        return {field: _NO_LIST | {_ORDER[sign]: literal}}
    clauses = moment_clauses(sign, literal, fixed=field in FIXED_MEMBERS)
    if field in FIXED_MEMBERS and literal.kind == "DateTime":
        return _any([{field: clause} for clause in clauses])
    shape = {"$regex": rf"^(?:{SHAPES[literal.kind]})\z"}
    plain = _any([{field: clause} for clause in clauses])
    typed = [_typed(field, literal.kind, clause | shape) for clause in clauses]
    return _any([_all([{field: _NO_LIST | shape}, plain]), *typed])


def _typed(field: str, kind: str, clause: Filter) -> Filter:
    """A typed value {"@type": kind, "@value": …} whose value is like that."""
    return _all(
        [
            {field: _NO_LIST},
            {f"{field}.@type": _NO_LIST | {"$in": [kind, MOMENT_TYPES[kind]]}},
            {f"{field}.@value": _NO_LIST | clause},
        ]
    )


def _in_languages(sign: str, operand: Operand) -> Iterable[Filter]:
    """What an instance of a LanguageProperty must be like when any language counts. Texts have no order here."""
    if sign in _ORDER:
        return
    if isinstance(operand, Pattern):
        text = {"bsonType": "string"}
        none_matches = _no_language(text | {"pattern": operand.pcre})
        tests = [_not(none_matches)] if sign == "~=" else [_not(_no_language(text)), none_matches]
    else:
        texts = _texts(operand)
        if sign == "==" and not texts:
            return
        none_equal = [_no_language(_one_of(texts))] if texts else []
        tests = none_equal if sign == "!=" else [_not(test) for test in none_equal]
    yield _all([{"languageMap": _EXISTS}, *tests])


def _texts(operand: OneOf | Between) -> list[str]:
    literals = operand.literals if isinstance(operand, OneOf) else ()
    return list(dict.fromkeys(value for literal in literals for value in _spellings(literal) if isinstance(value, str)))


def _one_of(texts: list[str]) -> Filter:
    """Schema of one of these texts, or of a list with one of them."""
    return {"anyOf": [{"enum": texts}, {"bsonType": "array", "not": {"items": {"not": {"enum": texts}}}}]}


def _no_language(schema: Filter) -> Filter:
    """No language has a value like that. A schema speaks of every key of a document; else only $expr could."""
    return {"$jsonSchema": {"properties": {"languageMap": {"additionalProperties": {"not": schema}}}}}


def _not(test: Filter) -> Filter:
    return {"$nor": [test]}


def _any(tests: list[Filter]) -> Filter:
    return tests[0] if len(tests) == 1 else {"$or": tests}


def _all(tests: list[Filter]) -> Filter:
    return tests[0] if len(tests) == 1 else {"$and": tests}
