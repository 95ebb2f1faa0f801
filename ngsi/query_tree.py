"""The syntax tree of the query language `q` (clause 4.9). `ngsi.query` makes it; memory and MongoDB read it.

Node = And | Or | Exists | Absent | Compare | PointsTo    Target = Path | Linked    Operand = OneOf | Between | Pattern
"""

from dataclasses import dataclass

from ngsi.moments import Moment
from ngsi.pattern import Pattern

Literal = bool | int | float | str | Moment
"""A value to compare with. Strings that read as a DateTime, quoted or not, are Moments."""


@dataclass(frozen=True)
class Path:
    """The element of an entity that is looked at.

    `names` are keys: an attribute, its sub-attribute and so on; empty for a member of the entity itself. `member` is a
    non-reified member (`QUERY_MEMBERS`) of the last of them. `inside` leads into the value, by raw JSON keys, or is
    the one language tag (`*`: any) of a LanguageProperty.
    """

    names: tuple[str, ...]
    member: str | None = None
    inside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Linked:
    """An element of the entities that a Relationship points to; `types` (keys) narrows those looked at."""

    relationship: str
    types: tuple[str, ...]
    target: "Target"


Target = Path | Linked


@dataclass(frozen=True)
class OneOf:
    """Any of some literals; one at least."""

    literals: tuple[Literal, ...]


@dataclass(frozen=True)
class Between:
    """All values from one literal to another, both included and of the same type."""

    low: Literal
    high: Literal


@dataclass(frozen=True)
class And:
    """Every term holds."""

    terms: tuple["Node", ...]


@dataclass(frozen=True)
class Or:
    """Some term holds."""

    terms: tuple["Node", ...]


@dataclass(frozen=True)
class Exists:
    """The target is there."""

    target: Target


@dataclass(frozen=True)
class Absent:
    """The target is not there."""

    target: Target


@dataclass(frozen=True)
class Compare:
    """The target is there and compares so.

    operator         operand
    == !=            OneOf or Between
    < <= > >=        OneOf with one literal: a number, a quoted string or a Moment
    ~= !~=           Pattern
    """

    target: Target
    operator: str
    operand: OneOf | Between | Pattern


@dataclass(frozen=True)
class PointsTo:
    """The Relationship of that key points to one of these entities; with `negated`, to none of them.

    No query says so; a condition on linked entities becomes this once it is known which entities meet it.
    """

    relationship: str
    ids: frozenset[str]
    negated: bool = False


Node = And | Or | Exists | Absent | Compare | PointsTo

QUERY_MEMBERS = frozenset(
    {"createdAt", "modifiedAt", "deletedAt", "observedAt", "expiresAt", "unitCode", "datasetId", "instanceId"}
)
"""Members of an attribute instance that are no attributes and yet can end a path."""

ENTITY_MEMBERS = frozenset({"createdAt", "modifiedAt", "expiresAt"})
"""Those of them that an entity has itself."""

FIXED_MEMBERS = frozenset({"createdAt", "modifiedAt"})
"""Those that the broker writes, always as YYYY-MM-DDThh:mm:ss.mmmZ."""


def attributes(node: Node) -> set[str]:
    """The keys of the entity's attributes that a query mentions; system members do not count."""
    match node:
        case And(terms) | Or(terms):
            return {key for term in terms for key in attributes(term)}
        case Exists(target) | Absent(target) | Compare(target):
            return {target.relationship} if isinstance(target, Linked) else set(target.names[:1])
        case PointsTo(relationship):
            return {relationship}


def depth(node: Node) -> int:
    """How many links away the farthest entity is that a query speaks of; 0 if it is the entity itself."""
    match node:
        case And(terms) | Or(terms):
            return max(map(depth, terms))
        case Exists(target) | Absent(target) | Compare(target):
            links = 0
            while isinstance(target, Linked):
                target = target.target
                links += 1
            return links
        case PointsTo():
            return 0


def inner(term: Exists | Absent | Compare) -> "Exists | Compare":
    """What a term on linked entities asks of each of them. Absent: there is none to which this applies."""
    assert isinstance(term.target, Linked)
    target = term.target.target
    return Compare(target, term.operator, term.operand) if isinstance(term, Compare) else Exists(target)
