"""A query (`ngsi.query`) as a function on entities, for subscriptions and whatever is not asked of the database.

`broker.storage.mongo_filter` says the same in MongoDB's words; a property test holds the two together. The rules of
both (clause 4.9, where it leaves room: our reading):

- A term holds if one instance of the attribute meets it, also with `!=`. The target has to exist for every operator.
- Equal means same JSON type and value; integers and doubles are one type. A list equals what one of its elements does.
- Order is within numbers, within strings (by code point), within DateTimes, Dates or Times. Nothing else is in order.
- `..` is two comparisons of order. `!=` is the opposite of `==`.
- DateTimes, Dates and Times count as moments, also in a typed value `{"@type": "DateTime", "@value": …}`.
- A Relationship knows `==` and `!=` only. Patterns concern strings only; for others neither `~=` nor `!~=` holds.
- A LanguageProperty without tag, or with `[*]`, equals or matches what some language does; its order is nobody's.
- Members in brackets are those of objects; elements of lists have no names.
"""

import operator
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from ngsi.entity import Entity, Instance
from ngsi.errors import NotSupported
from ngsi.linked import objects
from ngsi.moments import MOMENT_TYPES, Moment, moment
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
    inner,
)
from ngsi.vocabulary import VALUE_MEMBER

Test = Callable[[Any], bool]
"""Whether a value, as it is stored, will do."""

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RELATIONSHIPS = frozenset({"Relationship", "ListRelationship"})
_WITH_MEMBERS = frozenset({"Property", "GeoProperty", "JsonProperty"})


Lookup = Callable[[str], Entity | None]
"""Gives the entity of an id, None if there is none."""


def compile(node: Node, lookup: Lookup | None = None) -> Callable[[Entity], bool]:  # noqa: A001  # evaluate.compile
    """The query as a function. `lookup` has the linked entities; without it they are NotSupported (501)."""
    match node:
        case And(terms):
            every = [compile(term, lookup) for term in terms]
            return lambda entity: all(term(entity) for term in every)
        case Or(terms):
            some = [compile(term, lookup) for term in terms]
            return lambda entity: any(term(entity) for term in some)
        case PointsTo(relationship, ids, negated):
            return lambda entity: ids.isdisjoint(_pointed_to(entity, relationship)) is negated
        case Exists(Linked()) | Compare(Linked()) | Absent(Linked()):
            return _linked(node, lookup)
        case Exists(target):
            return _term(target, lambda _: True, lambda _: True, lambda _: True)
        case Absent(target):
            present = compile(Exists(target))
            return lambda entity: not present(entity)
        case Compare(target, sign, operand):
            return _compare(target, sign, operand)


def values(target: Path, entity: Entity) -> list[Any]:
    """What a term on this target looks at in an entity: the values that its operator is asked about, in their order."""
    found: list[Any] = []

    def note(value: Any) -> bool:
        found.append(value)
        return False

    _term(target, note, note, note)(entity)
    return found


def _linked(term: Exists | Absent | Compare, lookup: Lookup | None) -> Callable[[Entity], bool]:
    if lookup is None:
        raise NotSupported("q on an element of linked entities, name{…}, is not offered here")
    target = term.target
    assert isinstance(target, Linked)
    relationship, types = target.relationship, frozenset(target.types)
    inside = compile(inner(term), lookup)

    def meets(linked: Entity | None) -> bool:
        return linked is not None and (not types or not types.isdisjoint(linked.types)) and inside(linked)

    wanted = not isinstance(term, Absent)
    return lambda entity: any(meets(lookup(known)) for known in _pointed_to(entity, relationship)) is wanted


def _pointed_to(entity: Entity, relationship: str) -> Iterable[str]:
    return chain.from_iterable(map(objects, entity.attributes.get(relationship, ())))


def _compare(target: Target, sign: str, operand: OneOf | Between | Pattern) -> Callable[[Entity], bool]:
    if isinstance(operand, Pattern):
        search, wanted = operand.search, sign == "~="

        def matches(value: Any) -> bool:
            return isinstance(value, str) and search(value) is wanted

        def some_matches(values: list[Any]) -> bool:
            texts = [value for value in values if isinstance(value, str)]
            return bool(texts) and any(map(search, texts)) is wanted

        return _term(target, matches, _never, some_matches)
    if sign in _ORDER:
        return _term(target, _ordered(sign, operand), _never, _never)
    equal, same = _equal(operand)
    if sign == "==":
        return _term(target, equal, same, lambda values: any(map(same, values)))
    return _term(
        target,
        lambda value: not equal(value),
        lambda value: not same(value),
        lambda values: not any(map(same, values)),
    )


def _term(target: Target, test: Test, test_reference: Test, test_languages: Test) -> Callable[[Entity], bool]:
    """The test of a value, that of a Relationship's URI(s), and that of the list of a LanguageProperty's values."""
    assert isinstance(target, Path)
    if not target.names:
        return _entity_term(target, test)
    instance_test = _instance_test(target, test, test_reference, test_languages)
    first, deeper = target.names[0], target.names[1:]

    def holds(entity: Entity) -> bool:
        instances: Iterable[Instance] = entity.attributes.get(first, ())
        for name in deeper:
            instances = _sub_attributes(instances, name)
        return any(map(instance_test, instances))

    return holds


def _sub_attributes(instances: Iterable[Instance], name: str) -> Iterable[Instance]:
    return chain.from_iterable(instance.get("attrs", {}).get(name, ()) for instance in instances)


def _entity_term(path: Path, test: Test) -> Callable[[Entity], bool]:
    match path.member:
        case "createdAt":
            return lambda entity: test(entity.created_at)
        case "modifiedAt":
            return lambda entity: test(entity.modified_at)
        case "expiresAt":
            return lambda entity: entity.expires_at is not None and test(entity.expires_at)
    return _never


def _instance_test(path: Path, test: Test, test_reference: Test, test_languages: Test) -> Callable[[Instance], bool]:
    member, inside = path.member, path.inside
    if member is not None:
        return lambda instance: member in instance and test(instance[member])

    def holds(instance: Instance) -> bool:
        kind = instance["type"]
        value = instance[VALUE_MEMBER[kind]]
        if kind == "LanguageProperty":
            if inside in ((), ("*",)):
                return test_languages(list(value.values()))
            return len(inside) == 1 and inside[0] in value and test(value[inside[0]])
        if not inside:
            return test_reference(value) if kind in _RELATIONSHIPS else test(value)
        if kind not in _WITH_MEMBERS:
            return False
        for step in inside:
            if not isinstance(value, dict) or step not in value:
                return False
            value = value[step]
        return test(value)

    return holds


def _never(_: Any) -> bool:
    return False


def _ordered(sign: str, operand: OneOf | Between) -> Test:
    """The test of an order; the parser has made sure of one literal that has one."""
    if isinstance(operand, Between):
        above, below = _ordered_by(">=", operand.low), _ordered_by("<=", operand.high)
        return lambda value: above(value) and below(value)
    return _ordered_by(sign, operand.literals[0])


def _ordered_by(sign: str, literal: Literal) -> Test:
    compare = _ORDER[sign]
    if isinstance(literal, Moment):
        kind, wanted = literal.kind, literal.order

        def ordered(value: Any) -> bool:
            found = _moment(value, kind)
            return found is not None and compare(found.order, wanted)

        return ordered
    if isinstance(literal, str):
        return lambda value: isinstance(value, str) and compare(value, literal)
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and compare(value, literal)


def _equal(operand: OneOf | Between) -> tuple[Test, Test]:
    """The test whether a value equals the operand, and that for what has no order: URIs, texts in any language."""
    if isinstance(operand, Between):
        return _ordered("==", operand), _never
    tests = [_equal_to(literal) for literal in operand.literals]

    def equal_one(value: Any) -> bool:
        return any(test(value) for test in tests)

    def equal(value: Any) -> bool:
        if isinstance(value, list):
            return any(equal_one(element) for element in value if not isinstance(element, dict))
        return equal_one(value)

    return equal, equal


def _equal_to(literal: Literal) -> Test:
    if isinstance(literal, bool):
        return lambda value: value is literal
    if isinstance(literal, Moment):
        kind = literal.kind

        def same_moment(value: Any) -> bool:
            found = _moment(value, kind)
            return found is not None and found.order == literal.order

        return same_moment
    if isinstance(literal, str):
        return lambda value: isinstance(value, str) and value == literal
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == literal


def _moment(value: Any, kind: str) -> Moment | None:
    """The moment of one kind that a value is, as text or as typed value."""
    if isinstance(value, dict):
        named = value.get("@type")
        if named != MOMENT_TYPES[kind] and named != kind:
            return None
        value = value.get("@value")
    found = moment(value) if isinstance(value, str) else None
    return found if found is not None and found.kind == kind else None
