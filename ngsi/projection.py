"""Attribute projection (clause 4.21): which members of an entity are shown, and which of the entities it is linked to.

    projection = member *( ( "," / "|" ) member )
    member     = name [ "{" projection "}" ]           ; in braces: members of the entities that the attribute links to

Members are held as keys of attributes; `id`, `type`, `scope` and the timestamps of the entity are held bare.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from ngsi.context import Context
from ngsi.entity import Entity
from ngsi.errors import BadRequestData
from ngsi.names import show

ENTITY_MEMBERS = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "expiresAt"})
"""Members of a projection that are no attributes. They are held bare, as no key of an attribute can be written."""

Members = Mapping[str, "Members | None"]
"""Member → what is meant of the entities linked by it; None: the member itself."""

_NONE: Members = {}
_NAME = re.compile(r"[^,|{}]+")
_DEPTH_MAX = 16


@dataclass(frozen=True, slots=True)
class Projection:
    """What is shown: `pick` only (None: everything), but for `omit`; of attributes only `attrs` (None: all)."""

    pick: Members | None = None
    omit: Members = field(default_factory=dict)
    attrs: frozenset[str] | None = None

    @property
    def shows_all(self) -> bool:
        """Whether nothing is left out."""
        return self.pick is None and not self.omit and self.attrs is None

    def shows(self, member: str) -> bool:
        """Whether an attribute (key) or a member of the entity (bare) is shown."""
        if self.pick is not None and member not in self.pick:
            return False
        if self.attrs is not None and member not in self.attrs and member not in ENTITY_MEMBERS:
            return False
        return self.omit.get(member, _NONE) is not None

    def linked(self, relationship: str) -> "Projection":
        """What is shown of the entities that an attribute (key) links to."""
        pick = self.pick.get(relationship) if self.pick is not None else None
        omit = self.omit.get(relationship)
        return WHOLE if pick is None and not omit else Projection(pick, omit or _NONE)

    @property
    def wish(self) -> tuple[int, int]:
        """The same for projections that came about by the same braces."""
        return id(self.pick), id(self.omit)

    @property
    def depth(self) -> int:
        """How many links away the farthest entity is that is spoken of."""
        return max(_depth(self.pick or _NONE), _depth(self.omit))


WHOLE = Projection()


def parse(text: str, context: Context, what: str) -> Members:
    """The members of a projection; BadRequestData if it breaks the grammar. `what` names the parameter."""
    return _Parser(text, context, what).projection()


def require_apart(pick: Members, omit: Members) -> None:
    """BadRequestData if a member stands in both."""
    for member, inner in omit.items():
        if member not in pick:
            continue
        picked = pick[member]
        if inner is None and picked is None:
            raise BadRequestData(f"{show(member)} stands in pick and in omit; decide for one")
        if inner is not None and picked is not None:
            require_apart(picked, inner)


def stored(members: Members) -> list[Any]:
    """The members as an array for a document: names, and an object {name: array} for those with braces."""
    return [name if inner is None else {name: stored(inner)} for name, inner in members.items()]


def restored(items: Iterable[Any]) -> Members:
    """What `stored` made the array of."""
    found: dict[str, Members | None] = {}
    for item in items:
        if isinstance(item, str):
            found[item] = None
        else:
            found |= {name: restored(inner) for name, inner in item.items()}
    return found


def texts(wanted: Members, context: Context) -> list[str]:
    """The members as a client writes them, in the names of its @context."""
    return [
        (name if name in ENTITY_MEMBERS else context.compact(name))
        + ("" if inner is None else f"{{{','.join(texts(inner, context))}}}")
        for name, inner in wanted.items()
    ]


def reduced(entity: Entity, projection: Projection) -> Entity:
    """The entity with the attributes that are shown."""
    if projection.shows_all:
        return entity
    kept = {key: instances for key, instances in entity.attributes.items() if projection.shows(key)}
    return replace(entity, attributes=kept)


def _depth(members: Members) -> int:
    return max((1 + _depth(inner) for inner in members.values() if inner is not None), default=0)


class _Parser:
    """Recursive descent: one method for a production of the grammar above, by the same name."""

    def __init__(self, text: str, context: Context, what: str) -> None:
        self._text = text
        self._context = context
        self._what = what
        self._at = 0

    def projection(self) -> Members:
        members = self._members(0)
        if self._at < len(self._text):
            self._refuse("',', '|' or the end")
        return members

    def _members(self, depth: int) -> Members:
        if depth > _DEPTH_MAX:
            self._refuse(f"at most {_DEPTH_MAX} braces inside one another")
        members: dict[str, Members | None] = {}
        while True:
            self._member(members, depth)
            if not self._text.startswith((",", "|"), self._at):
                return members
            self._at += 1

    def _member(self, members: dict[str, Members | None], depth: int) -> None:
        found = _NAME.match(self._text, self._at)
        if found is None:
            self._refuse("the name of a member")
        name = found[0]
        key = name if name in ENTITY_MEMBERS else self._context.expand(name)
        self._at = found.end()
        members[key] = None
        if self._text.startswith("{", self._at):
            if key in ENTITY_MEMBERS:
                self._refuse(f"no brace: {name} links to no entity")
            self._at += 1
            members[key] = self._members(depth + 1)
            if not self._text.startswith("}", self._at):
                self._refuse("',', '|' or '}'")
            self._at += 1

    def _refuse(self, expected: str) -> NoReturn:
        raise BadRequestData(
            f"{self._what} {show(self._text)}: at character {self._at + 1} expected {expected}; "
            "write it as in id,temperature or, with join, partOf{id,name}"
        )
