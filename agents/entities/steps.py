"""The steps of a mapping with expressions: one attribute each, compiled."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from agents.entities.instances import Instance, Maker, maker_of, metadata_member, static_instance
from agents.errors import ExpressionFailed, InvalidExpression
from agents.expressions import Expression, compile_expression
from agents.names import entity_id
from agents.specification import AttributeSpec, StaticSpec

Context = Mapping[str, object]
TextExpression = Callable[[Context], str | None]

UNNAMED: Maker = maker_of(AttributeSpec("", ""))
"""Makes the instance of a field that nobody has named."""


class Outcome(NamedTuple):
    """The value of an attribute, and the metadata that expressions gave it."""

    value: object
    metadata: Instance


class Step:
    """One attribute: finds its value, enters it into the context, names its entity."""

    __slots__ = (
        "_entity_name",
        "_entity_type",
        "_expression",
        "_metadata",
        "_skip",
        "field",
        "is_static",
        "make",
        "name",
        "names",
    )

    def __init__(self, spec: AttributeSpec, *, static: StaticSpec | None = None) -> None:
        self.name = spec.name
        self.field = spec.field
        self.make = maker_of(spec) if static is None else _fixed(static)
        self.is_static = static is not None
        self._expression = None if spec.expression is None else compile_expression(spec.expression)
        self._skip = spec.skip
        self._entity_name = None if spec.entity_name is None else text_expression(spec.entity_name)
        self._entity_type = spec.entity_type
        self._metadata = tuple(
            (name, metadatum, compile_expression(metadatum.expression))
            for name, metadatum in spec.metadata.items()
            if metadatum.expression is not None
        )
        self.names = frozenset(self._expression.names if self._expression else ()).union(
            *(expression.names for _, _, expression in self._metadata)
        )
        """What its expressions read."""

    def run(self, values: Mapping[str, object], context: dict[str, object]) -> Outcome | None:
        """Return the value; None when there is nothing to send. The context has it afterwards under its name."""
        value = context.get(self.name) if self.is_static else values.get(self.field)
        if self._expression is not None:
            context[self.name] = value
            value = attempted(self._expression, context)
        context[self.name] = value
        if value is None or (self._skip is not None and _is_same(value, self._skip)):
            return None
        return Outcome(value, self._computed(context) if self._metadata else {})

    def entity(self, context: Context, own: tuple[str, str]) -> tuple[str, str]:
        """Id and type of the entity the attribute belongs to."""
        type_ = self._entity_type or own[1]
        name = None if self._entity_name is None else self._entity_name(context)
        return (own[0] if name is None else entity_id(name, type_), type_)

    def _computed(self, context: Context) -> Instance:
        made: Instance = {}
        for name, metadatum, expression in self._metadata:
            value = attempted(expression, context)
            if value is not None:
                made |= metadata_member(name, metadatum, value)
        return made


def _is_same(value: object, other: object) -> bool:
    """Whether two JSON values are equal: to JSON, true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def attribute_step(spec: AttributeSpec) -> Step:
    """Return the step of an attribute; `InvalidExpression`."""
    return Step(spec)


def static_step(spec: StaticSpec) -> Step:
    """Return the step of a static attribute: its value stands in the context from the beginning."""
    described = AttributeSpec(
        spec.name, spec.name, entity_name=spec.entity_name, entity_type=spec.entity_type, metadata=spec.metadata
    )
    return Step(described, static=spec)


def _fixed(spec: StaticSpec) -> Maker:
    instance = static_instance(spec)
    return lambda value, at: None if instance is None else dict(instance)


def attempted(expression: Expression, context: Context) -> object:
    """Return the value of an expression, None when it fails: as the agents do."""
    try:
        return expression(context)
    except ExpressionFailed:
        return None


def text_expression(text: str) -> TextExpression:
    """Return what gives the name of an entity: the value of the expression, or the text itself when it is none.

    The agents' rule: `Room1` is the variable of that name if there is one, else the name.
    """
    try:
        expression = compile_expression(text)
    except InvalidExpression:
        return lambda context: text

    def name(context: Context) -> str | None:
        value = attempted(expression, context)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else text

    return name
