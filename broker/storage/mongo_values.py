"""The values of an entity in a form that one index serves: what `q` compares is found without reading the others.

Each document lists the values of its attributes as `values: [{k: digest of type and attribute, v: scalar}, …]`, for
each of its types. An index on (k, v, _id) then leads from `type=ThermalCamera&q=temperature>37.5` straight to the
entities. The list narrows, it does not decide: the exact filter (`mongo_filter`) stands beside it, so names can be
digested to 64 bits, strings can be cut, and an entity with very many values can do with a mark that says "look at me
in any case".
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any

from pymongo import ASCENDING, IndexModel

from broker.storage.base import EntitySelector
from ngsi.entity import Attributes, Entity, Instance
from ngsi.moments import Moment
from ngsi.query_tree import And, Between, Compare, Literal, Node, OneOf, Path
from ngsi.vocabulary import VALUE_MEMBER

INDEX = IndexModel([("values.k", ASCENDING), ("values.v", ASCENDING), ("_id", ASCENDING)], name="values")

_ENTRIES_MAX = 64
_TEXT_CHARS = 100
_NARROWED_TERMS_MAX = 3
_ORDER = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}

Filter = dict[str, Any]


def entries(entity: Entity) -> list[dict[str, Any]]:
    """What stands in `values` of the entity's document."""
    found: list[dict[str, Any]] = []
    for type_key in entity.types:
        found += islice(_entries(type_key, entity.attributes), _ENTRIES_MAX + 1 - len(found))
        if len(found) > _ENTRIES_MAX:
            return [{"k": _mark(type_key)} for type_key in entity.types]
    return found


def _entries(type_key: str, attributes: Attributes) -> Iterator[dict[str, Any]]:
    for key, instances in attributes.items():
        name = _digest(type_key, key)
        for instance in instances:
            for value in _compared(instance):
                kind = type(value)
                if kind is str:
                    yield {"k": name, "v": value[:_TEXT_CHARS]}
                elif isinstance(value, int | float):
                    yield {"k": name, "v": value}


def _compared(instance: Instance) -> Iterable[Any]:
    """The values that a term of `q` on the bare attribute compares with its literals."""
    kind = instance["type"]
    value = instance[VALUE_MEMBER[kind]]
    if kind == "LanguageProperty":
        return [text for texts in value.values() for text in (texts if isinstance(texts, list) else [texts])]
    return value if isinstance(value, list) else (value,)


@lru_cache(maxsize=4096)
def _digest(type_key: str, key: str) -> int:
    """A name of an attribute of a type: 64 bits, the same in every process. Two that share one cost a look, no more."""
    digest = blake2b(f"{type_key} {key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _mark(type_key: str) -> int:
    """The entry of an entity whose values are too many to list."""
    return _digest(type_key, "*")


def narrowing(q: Node, selectors: tuple[EntitySelector, ...]) -> list[Filter]:
    """Conditions that an entity of these types meets if `q` holds for it: for the index, not for the decision."""
    types = _one_type_of_each(selectors)
    if types is None:
        return []
    terms = q.terms if isinstance(q, And) else (q,)
    found = (_narrowed(term, types) for term in terms)
    return list(islice((condition for condition in found if condition is not None), _NARROWED_TERMS_MAX))


def _one_type_of_each(selectors: tuple[EntitySelector, ...]) -> list[str] | None:
    """Types of which every entity that is selected has one; None if there are no such."""
    types: set[str] = set()
    for selector in selectors:
        if selector.types is None or frozenset() in selector.types:
            return None
        types.update(min(alternative) for alternative in selector.types)
    return sorted(types) or None


def _narrowed(term: Node, types: list[str]) -> Filter | None:
    if not isinstance(term, Compare) or not isinstance(term.target, Path):
        return None
    path = term.target
    if len(path.names) != 1 or path.member is not None or path.inside:
        return None
    condition = _value_condition(term.operator, term.operand)
    if condition is None:
        return None
    listed = {"k": {"$in": [_digest(type_key, path.names[0]) for type_key in types]}, "v": condition}
    return {"$or": [{"values": {"$elemMatch": listed}}, {"values.k": {"$in": [_mark(type_key) for type_key in types]}}]}


def _value_condition(sign: str, operand: object) -> Filter | None:
    """What `v` is like in an entity that meets the term; None where the list cannot tell."""
    if isinstance(operand, Between):
        if sign != "==" or isinstance(operand.low, Moment):
            return None
        return {"$gte": _cut(operand.low), "$lte": _cut(operand.high)}
    if not isinstance(operand, OneOf) or any(isinstance(literal, Moment) for literal in operand.literals):
        return None
    if sign == "==":
        return {"$in": [_cut(literal) for literal in operand.literals]}
    if sign not in _ORDER:
        return None
    (literal,) = operand.literals
    if isinstance(literal, str):
        # What was cut may be equal where the whole is not.
        return {"$gte" if sign[0] == ">" else "$lte": _cut(literal)}
    return {_ORDER[sign]: literal}


def _cut(literal: Literal) -> Any:
    return literal[:_TEXT_CHARS] if isinstance(literal, str) else literal
