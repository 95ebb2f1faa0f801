"""The order of the entities of a query, parameters `orderBy`, `collation`, `orderFrom`, `orderGeometry` (clause 4.23).

    orderBy   = item *( "," item )
    item      = member [ ";" direction ]
    member    = "id" / "type" / "scope" / path             ; path as in q: name.sub, name.observedAt, name[inside]
    direction = "asc" / "desc" / "dist-asc" / "dist-desc"  ; the latter two: distance of a GeoProperty from orderFrom

Values of different types follow one another as clause 4.23.2 says: numbers, strings, objects, arrays, booleans, times,
dates, date-times, null. Where it leaves room, our reading: objects are all alike, and so are arrays; of several
instances the default one counts, else the first; a string that looks like a date is a string; what is not there comes
last in either direction; entities alike in everything come in the order of their ids, so that pages never overlap.
Strings are in the order of their code points unless a collation is given.

`broker.storage.mongo_order` says the same in MongoDB's words.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from shapely.geometry.base import BaseGeometry

from ngsi import query
from ngsi.collation import Collation
from ngsi.collation import parse as parse_collation
from ngsi.context import Context
from ngsi.entity import Entity, Instance
from ngsi.errors import BadRequestData
from ngsi.geo_distance import distance_m
from ngsi.geo_query import geometry_of, reference
from ngsi.moments import MOMENT_TYPES, moment
from ngsi.names import show
from ngsi.query_tree import Exists, Path
from ngsi.vocabulary import VALUE_MEMBER

ITEMS_MAX = 8

NUMBER, STRING, OBJECT, ARRAY, BOOLEAN, TIME, DATE, DATE_TIME, NULL, MISSING = range(10)
"""Ranks of the types of values."""

MOMENT_RANKS = {"Time": TIME, "Date": DATE, "DateTime": DATE_TIME}
TIMESTAMPS = frozenset({"createdAt", "modifiedAt", "observedAt", "expiresAt"})
ENTITY_MEMBERS = ("id", "type", "scope")

_DIRECTIONS = {"asc": (False, False), "desc": (True, False), "dist-asc": (False, True), "dist-desc": (True, True)}
_ITEM = re.compile(r"((?:[^,;\[\]]|\[[^\[\]]*\])+)(?:;([a-z-]*))?(?:,|$)")


class Key(NamedTuple):
    """What an entity is sorted by, for one item: the rank of its type, and a value to compare within the rank."""

    rank: int
    value: Any


@dataclass(frozen=True)
class Item:
    """One thing to sort by: a member of the entity itself, or a path into it."""

    member: str | None
    path: Path | None
    descending: bool = False
    by_distance: bool = False


@dataclass(frozen=True)
class Order:
    """What to sort by, the most important first. `origin` is where distances are measured from."""

    items: tuple[Item, ...]
    collation: Collation | None = None
    origin: BaseGeometry | None = None

    @cached_property
    def attributes(self) -> frozenset[str]:
        """The keys of the attributes that are looked at."""
        return frozenset(item.path.names[0] for item in self.items if item.path is not None and item.path.names)

    def keys(self, entity: Entity) -> list[Key]:
        """What the entity is sorted by; strings as they are, the collation is up to the reader."""
        return [self._distance(entity, item) if item.by_distance else key(entity, item) for item in self.items]

    def _distance(self, entity: Entity, item: Item) -> Key:
        """Metres to the nearest geometry of the GeoProperty; for what is none, its value, after all of them."""
        assert self.origin is not None
        metres = [
            distance_m(geometry, self.origin)
            for instance in _instances(entity, item.path)
            if instance["type"] == "GeoProperty" and (geometry := geometry_of(instance["value"])) is not None
        ]
        if metres:
            return Key(NUMBER - 1, min(metres))
        return key(entity, item)


def parse(order_by: str, context: Context, *, collation: str | None, origin: str | None, geometry: str | None) -> Order:
    """The order that the parameters ask for, names expanded by the context; BadRequestData if they are wrong."""
    items: list[Item] = []
    at = 0
    while at < len(order_by) or not items:
        found = _ITEM.match(order_by, at)
        if found is None or len(items) == ITEMS_MAX or (found[0].endswith(",") and found.end() == len(order_by)):
            raise BadRequestData(
                f"orderBy {show(order_by)} is no list of up to {ITEMS_MAX} members such as name,temperature;desc "
                "or location;dist-asc"
            )
        items.append(_item(found[1], "asc" if found[2] is None else found[2], context))
        at = found.end()
    by_distance = any(item.by_distance for item in items)
    if by_distance and origin is None:
        raise BadRequestData("orderBy by distance needs orderFrom, the coordinates from which distances are measured")
    return Order(
        tuple(items),
        None if collation is None else parse_collation(collation),
        None if origin is None else reference(geometry or "Point", origin, "orderFrom"),
    )


def _item(member: str, direction: str, context: Context) -> Item:
    if direction not in _DIRECTIONS:
        raise BadRequestData(f"orderBy: direction {show(direction)} is unknown; it is one of {', '.join(_DIRECTIONS)}")
    descending, by_distance = _DIRECTIONS[direction]
    if member in ENTITY_MEMBERS:
        if by_distance:
            raise BadRequestData(f"orderBy: {member} is nowhere; distances are those of GeoProperties")
        return Item(member, None, descending)
    node = query.parse(member, context)
    if not isinstance(node, Exists) or not isinstance(node.target, Path):
        raise BadRequestData(f"orderBy: {show(member)} is no member; write it as in name, name.sub or name[city]")
    if by_distance and (node.target.member is not None or node.target.inside):
        raise BadRequestData(f"orderBy: {show(member)} is nowhere; distances are those of GeoProperties")
    return Item(None, node.target, descending, by_distance)


def key(entity: Entity, item: Item) -> Key:
    """What the entity is sorted by, distances apart."""
    path = item.path
    if path is None:
        return _ranked(_own(entity, item.member))
    if not path.names:
        times = {"createdAt": entity.created_at, "modifiedAt": entity.modified_at, "expiresAt": entity.expires_at}
        return _timestamp(times.get(path.member or ""))
    instance = _one(_instances(entity, path))
    if instance is None:
        return Key(MISSING, 0)
    if path.member is not None:
        found = instance.get(path.member)
        return _timestamp(found) if path.member in TIMESTAMPS else _ranked(Ellipsis if found is None else found)
    value = instance[VALUE_MEMBER[instance["type"]]]
    for step in path.inside:
        if not isinstance(value, dict) or step not in value:
            return Key(MISSING, 0)
        value = value[step]
    return _ranked(value)


def _own(entity: Entity, member: str | None) -> Any:
    if member == "id":
        return entity.id
    texts = entity.types if member == "type" else entity.scopes
    return texts if len(texts) > 1 else texts[0] if texts else Ellipsis


def _instances(entity: Entity, path: Path | None) -> list[Instance]:
    """All instances of an attribute of the entity; of a deeper one, those in the instance that counts."""
    assert path is not None
    attributes = entity.attributes
    for name in path.names[:-1]:
        instance = _one(attributes.get(name, []))
        attributes = {} if instance is None else instance.get("attrs", {})
    return attributes.get(path.names[-1], [])


def _one(instances: list[Instance]) -> Instance | None:
    """The instance that counts."""
    return next((item for item in instances if "datasetId" not in item), instances[0] if instances else None)


def _timestamp(text: str | None) -> Key:
    found = None if text is None else moment(text)
    return Key(MISSING, 0) if found is None else Key(DATE_TIME, found.order)


def _ranked(value: Any) -> Key:
    """Ellipsis stands for what is not there."""
    if isinstance(value, str):
        return Key(STRING, value)
    if isinstance(value, bool):
        return Key(BOOLEAN, value)
    if isinstance(value, int | float):
        return Key(NUMBER, value)
    if isinstance(value, list):
        return Key(ARRAY, 0)
    if isinstance(value, dict):
        return _typed(value)
    return Key(NULL if value is None else MISSING, 0)


def _typed(value: dict[str, Any]) -> Key:
    """An object; or a date or time, if it is a typed value."""
    text = value.get("@value")
    found = moment(text) if isinstance(text, str) else None
    if found is not None and value.get("@type") in (found.kind, MOMENT_TYPES[found.kind]):
        return Key(MOMENT_RANKS[found.kind], found.order)
    return Key(OBJECT, 0)


def in_order(rows: list[tuple[str, list[Key]]], order: Order) -> list[str]:
    """The ids of rows of an id and its keys, sorted."""
    rows = sorted(rows, key=lambda row: row[0])
    for index, item in reversed(list(enumerate(order.items))):
        rows.sort(key=lambda row: row[1][index], reverse=item.descending)
        rows.sort(key=lambda row: row[1][index].rank == MISSING)
    return [row[0] for row in rows]
