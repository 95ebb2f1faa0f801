"""`explicitAttrs`: which attributes are sent.

Source: telefonicaid/iotagent-node-lib, doc/api.md, "Explicitly defined attributes": false (all), true (those that are
provisioned), an array of names and `{object_id: …}`, or an expression that gives one of these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from agents.errors import ExpressionFailed
from agents.expressions import compile_expression
from agents.specification import Chosen, ObjectId


class Selection(Enum):
    """Selections that need no look at the attribute."""

    ALL = "every field of the measure"
    NAMED = "the attributes of the specification"
    NOTHING = "none at all"


@dataclass(frozen=True, slots=True)
class Only:
    """The attributes of an array."""

    names: frozenset[str]
    fields: frozenset[str]

    def takes(self, name: str, field: str) -> bool:
        """Whether the attribute is in the array, by its name or by the field it is made of."""
        return name in self.names or field in self.fields


Selected = Selection | Only


def selection_of(explicit: bool | str | Chosen) -> Callable[[Mapping[str, object]], Selected]:
    """Return what gives the selection for the context of a measure; `InvalidExpression` for a text that is none."""
    if isinstance(explicit, bool):
        return _always(Selection.NAMED if explicit else Selection.ALL)
    if not isinstance(explicit, str):
        return _always(_only(list(explicit)))
    expression = compile_expression(explicit)
    if not expression.names:
        return _always(_read(expression({})))

    def select(context: Mapping[str, object]) -> Selected:
        try:
            return _read(expression(context))
        except ExpressionFailed:
            return Selection.ALL  # as with the agents: an expression that fails restricts nothing

    return select


def _always(selected: Selected) -> Callable[[Mapping[str, object]], Selected]:
    return lambda context: selected


def _read(value: object) -> Selected:
    if isinstance(value, bool):
        return Selection.NAMED if value else Selection.ALL
    return _only(value) if isinstance(value, list) else Selection.NOTHING


def _only(items: list[object] | list[str | ObjectId]) -> Only:
    names = frozenset(item for item in items if isinstance(item, str))
    fields = {item.field for item in items if isinstance(item, ObjectId)}
    fields |= {str(item["object_id"]) for item in items if isinstance(item, dict) and "object_id" in item}
    return Only(names, frozenset(fields))
