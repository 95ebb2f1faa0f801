"""Attributes in profile and device files: where a value comes from, and what is made of it."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agents.errors import InvalidExpression
from agents.expressions import compile_expression
from agents.file_model import FileModel
from agents.specification import AttributeSpec, Scalar
from agents.units import CONVERSIONS


def _compilable(text: str) -> str:
    try:
        compile_expression(text)
    except InvalidExpression as error:
        raise ValueError(str(error)) from error
    return text


def _code(unit: str) -> str:
    if re.fullmatch(r"[0-9A-Z]{1,3}", unit) is None:
        raise ValueError(f"{unit!r} is no UN/CEFACT code: up to three capitals and digits, CEL, P1, 59, ...")
    return unit


Unit = Annotated[str, AfterValidator(_code)]
Kind = Literal["Property", "Relationship", "GeoProperty"]


class Step(FileModel):
    """One line of a classification, tried in order: holds when the number is above / below its bound, or always.

    A bound is a number or the name of a setting of the device.
    """

    above: float | str | None = None
    below: float | str | None = None
    result: str = Field(alias="is")


class AttributeName(FileModel):
    """How a field of a measure is called as an attribute (in profiles, groups and devices alike)."""

    name: str = Field(min_length=1)
    kind: Kind = "Property"
    unit: Unit | None = None
    from_unit: Unit | None = None
    expression: Annotated[str, AfterValidator(_compilable)] | None = None
    """What the value is made of, instead of the field alone."""
    skip: Scalar | None = None
    """The value that is not sent."""
    entity_name: str | None = None
    """Another entity that gets the attribute: its id, or an expression that gives it."""
    entity_type: str | None = None
    low: float | None = Field(default=None, alias="min")
    high: float | None = Field(default=None, alias="max")
    """What is plausible, in `unit`: anything else is left out and told."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _require_conversion(self.from_unit, self.unit)
        require_range(self.low, self.high, self.expression)
        return self


class AttributeRule(FileModel):
    """Where the value of an attribute comes from (exactly one of the first three) and what is made of it."""

    field: str | None = None
    setting: str | None = None
    clock: Literal["observed"] | None = None
    kind: Kind = "Property"
    values: dict[str, Scalar] | None = None
    classify: Annotated[tuple[Step, ...], Field(min_length=1)] | None = None
    pseudonym: str | None = Field(default=None, min_length=1)
    """Purpose of the pseudonym that stands for the value."""
    rotation: int = Field(default=1, ge=1, le=366)
    """Days after which it is another pseudonym."""
    unit: Unit | None = None
    from_unit: Unit | None = None
    low: float | None = Field(default=None, alias="min")
    high: float | None = Field(default=None, alias="max")
    """What is plausible, in `unit`: anything else is left out and told."""
    optional: bool = False
    """The attribute is left out where the field is missing, instead of refusing the message."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        require_range(self.low, self.high)
        if sum(source is not None for source in (self.field, self.setting, self.clock)) != 1:
            raise ValueError("an attribute has exactly one of field, setting, clock")
        if sum(change is not None for change in (self.values, self.classify, self.pseudonym)) > 1:
            raise ValueError("an attribute has at most one of values, classify, pseudonym")
        if self.classify is not None and (self.classify[-1].above, self.classify[-1].below) != (None, None):
            raise ValueError("the last step of classify has no bound, so that every number has a class")
        _require_conversion(self.from_unit, self.unit)
        return self

    @property
    def hides(self) -> bool:
        """Whether the value itself stays behind."""
        return self.pseudonym is not None or self.classify is not None

    def settings(self) -> Iterable[str]:
        """Names of the device settings this rule needs."""
        if self.setting is not None:
            yield self.setting
        for step in self.classify or ():
            yield from (bound for bound in (step.above, step.below) if isinstance(bound, str))


def attribute_spec(field: str, name: AttributeName) -> AttributeSpec:
    """Return the specification of an attribute as a file names it."""
    return AttributeSpec(
        field=field,
        name=name.name,
        type=name.kind,
        unit=name.unit,
        from_unit=name.from_unit,
        expression=name.expression,
        skip=name.skip,
        entity_name=name.entity_name,
        entity_type=name.entity_type,
        low=name.low,
        high=name.high,
    )


def _require_conversion(source: str | None, target: str | None) -> None:
    if source is not None and (source, target) not in CONVERSIONS:
        others = ", ".join(sorted(known for known, made in CONVERSIONS if made == target))
        instead = f"to {target} there is one from {others}" if others else "take the unit as it is"
        raise ValueError(f"there is no conversion from {source} to {target}; {instead}, or an `expression`")


def require_range(low: float | None, high: float | None, expression: str | None = None) -> None:
    """Check what is plausible for a field; ValueError."""
    if expression is not None and (low, high) != (None, None):
        raise ValueError("min and max are of a field; an expression can tell with `? :` what is plausible")
    if low is not None and high is not None and low > high:
        raise ValueError("min is more than max")
