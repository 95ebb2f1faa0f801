"""An order of entities (`ngsi.ordering`) as stages of an aggregation. The rules are those listed there.

For each item there are three sort keys: whether there is something to sort by, the rank of its type, and its value as
far as values of that rank are in order. Names and members in brackets come from clients; they are steps of a path
behind `attrs.` or literals, never expressions.
"""

from typing import Any

from ngsi.moments import MOMENT_TYPES, SHAPES
from ngsi.ordering import (
    ARRAY,
    BOOLEAN,
    DATE_TIME,
    MISSING,
    MOMENT_RANKS,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    TIMESTAMPS,
    Item,
    Order,
)
from ngsi.query_tree import Path
from ngsi.vocabulary import VALUE_MEMBER

Expression = Any
Stage = dict[str, Any]

_VALUE_MEMBERS = tuple(dict.fromkeys(VALUE_MEMBER.values()))
_OWN = {"id": "$_id", "type": "$type", "scope": "$scope"}


def sort_stages(order: Order, now: str) -> list[Stage]:
    """Stages that put documents of entities in order; the last one is `$sort`, the sort keys stay behind in `by`.

    Neither collation nor distances: what needs one of these is sorted in memory. What has expired `now` is not there.
    """
    found = {f"v{index}": _value(item, now) for index, item in enumerate(order.items)}
    ranks: Stage = {}
    values: Stage = {}
    sort: dict[str, int] = {}
    for index, item in enumerate(order.items):
        is_time = item.path is not None and item.path.member in TIMESTAMPS
        rank = _time_rank(f"$by.v{index}") if is_time else _rank(f"$by.v{index}")
        ranks |= {f"r{index}": rank}
        values |= {f"k{index}": _comparable(f"$by.v{index}", f"$by.r{index}")}
        direction = -1 if item.descending else 1
        sort |= {f"by.m{index}": 1, f"by.r{index}": direction, f"by.k{index}": direction}
    missing = {f"m{index}": {"$eq": [f"$by.r{index}", MISSING]} for index in range(len(order.items))}
    return [
        {"$set": {"by": found}},
        {"$set": {"by": ranks}},
        {"$set": {"by": {**values, **missing}}},
        {"$sort": {**sort, "_id": 1}},
    ]


def _value(item: Item, now: str) -> Expression:
    if item.path is None:
        own = _OWN[item.member or ""]
        if item.member == "id":
            return own
        return {"$cond": [{"$eq": [{"$size": {"$ifNull": [own, []]}}, 1]}, {"$first": own}, own]}
    if not item.path.names:
        return f"${item.path.member}"
    return _in_instance(item.path, now)


def _in_instance(path: Path, now: str) -> Expression:
    """The value in the instance that counts, going down from attribute to sub-attribute."""
    instance = _one(f"$attrs.{path.names[0]}", now)
    for name in path.names[1:]:
        instance = {"$let": {"vars": {"outer": instance}, "in": _one(f"$$outer.attrs.{name}", now)}}
    if path.member is not None:
        value: Expression = f"$$it.{path.member}"
    else:
        value = {
            "$switch": {
                "branches": [
                    {"case": {"$ne": [{"$type": f"$$it.{member}"}, "missing"]}, "then": f"$$it.{member}"}
                    for member in _VALUE_MEMBERS
                ],
                "default": "$$REMOVE",
            }
        }
        for step in path.inside:
            inside = {"$getField": {"field": {"$literal": step}, "input": "$$whole"}}
            is_object = {"$eq": [{"$type": "$$whole"}, "object"]}
            value = {
                "$let": {"vars": {"whole": value}, "in": {"$cond": [is_object, inside, "$$REMOVE"]}},
            }
    return {"$let": {"vars": {"it": instance}, "in": value}}


def _one(instances: str, now: str) -> Expression:
    """The default instance, else the first."""
    # Any letter stands behind all DateTimes.
    is_living = {"$gt": [{"$ifNull": ["$$each.expiresAt", "never"]}, now]}
    living = {"$filter": {"input": {"$ifNull": [instances, []]}, "as": "each", "cond": is_living}}
    is_default = {"$eq": [{"$type": "$$each.datasetId"}, "missing"]}
    default = {"$filter": {"input": "$$living", "as": "each", "cond": is_default}}
    return {"$let": {"vars": {"living": living}, "in": {"$ifNull": [{"$first": default}, {"$first": "$$living"}]}}}


def _rank(value: str) -> Expression:
    kinds = [
        ({"$isNumber": value}, NUMBER),
        ({"$eq": [{"$type": value}, "string"]}, STRING),
        *(({"$and": _is_moment(value, kind)}, rank) for kind, rank in MOMENT_RANKS.items()),
        ({"$eq": [{"$type": value}, "object"]}, OBJECT),
        ({"$isArray": value}, ARRAY),
        ({"$eq": [{"$type": value}, "bool"]}, BOOLEAN),
        ({"$eq": [{"$type": value}, "null"]}, NULL),
    ]
    return {"$switch": {"branches": [{"case": case, "then": rank} for case, rank in kinds], "default": MISSING}}


def _is_moment(value: str, kind: str) -> list[Expression]:
    """A typed value {"@type": kind, "@value": …} whose value is like that."""
    # Else $regexMatch fails where @value is no string.
    text = {"$cond": [{"$eq": [{"$type": f"{value}.@value"}, "string"]}, f"{value}.@value", ""]}
    return [
        {"$eq": [{"$type": value}, "object"]},
        {"$in": [f"{value}.@type", [kind, MOMENT_TYPES[kind]]]},
        {"$regexMatch": {"input": text, "regex": rf"^(?:{SHAPES[kind]})\z"}},
    ]


def _time_rank(value: str) -> Expression:
    return {"$cond": [{"$eq": [{"$type": value}, "string"]}, DATE_TIME, MISSING]}


def _comparable(value: str, rank: str) -> Expression:
    """What values of one rank are compared by: moments by a text in the order of time, objects by nothing."""
    text = {"$cond": [{"$eq": [{"$type": value}, "object"]}, f"{value}.@value", value]}
    return {
        "$switch": {
            "branches": [
                {"case": {"$in": [rank, [NUMBER, STRING, BOOLEAN]]}, "then": value},
                {"case": {"$in": [rank, list(MOMENT_RANKS.values())]}, "then": _moment(text)},
            ],
            "default": 0,
        }
    }


def _moment(text: Expression) -> Expression:
    """`ngsi.moments.Moment.order`: without Z, with a point before the fraction, without zeros at its end."""
    plain = {"$replaceOne": {"input": {"$rtrim": {"input": text, "chars": "Z"}}, "find": ",", "replacement": "."}}
    trimmed = {"$rtrim": {"input": {"$rtrim": {"input": "$$plain", "chars": "0"}}, "chars": "."}}
    has_fraction = {"$ne": [{"$indexOfBytes": ["$$plain", "."]}, -1]}
    return {"$let": {"vars": {"plain": plain}, "in": {"$cond": [has_fraction, trimmed, "$$plain"]}}}
