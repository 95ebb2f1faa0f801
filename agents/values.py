"""Values of attributes: what a rule of a profile makes of a field, a setting or a time. Pure."""

import math
from collections.abc import Mapping

from agents.errors import WrongShape
from agents.measure import Measure
from agents.profile_attributes import AttributeRule, Step
from agents.protocols.base import field, json_type
from agents.pseudonyms import Pseudonyms
from agents.specification import Scalar
from agents.units import convert
from ngsi.datetimes import parse


def value_of(
    rule: AttributeRule, measure: Measure, settings: Mapping[str, Scalar], at: str, pseudonyms: Pseudonyms
) -> object:
    """Return the value of the attribute; `WrongShape` names the field that is missing or unfit, never its value."""
    if rule.clock is not None:
        return at
    if rule.setting is not None:
        return settings[rule.setting]
    assert rule.field is not None
    value = field(measure.values, rule.field)
    if rule.pseudonym is not None:
        return pseudonyms.of(value, rule.pseudonym, parse(at), rule.rotation)
    if rule.values is not None:
        return _looked_up(value, rule.values, rule.field)
    if rule.from_unit is not None and rule.unit is not None:
        value = convert(number(value, rule.field), rule.from_unit, rule.unit)
    if rule.classify is not None:
        return _class(number(value, rule.field), rule.classify, settings)
    return value


def number(value: object, name: str) -> float:
    """Return a finite number, also when it comes quoted."""
    if isinstance(value, str) and len(value) <= 32:
        try:
            value = float(value)
        except ValueError:
            raise WrongShape(f"field {name} is text that is no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WrongShape(f"field {name} is {json_type(value)}, not a finite number")
    return float(value)


def _looked_up(value: object, values: Mapping[str, Scalar], name: str) -> Scalar:
    key = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, dict | list) or key not in values:
        raise WrongShape(f"field {name} is none of {', '.join(values)}")
    return values[key]


def _class(value: float, steps: tuple[Step, ...], settings: Mapping[str, Scalar]) -> str:
    def bound(given: float | str) -> float:
        return float(settings[given]) if isinstance(given, str) else given

    for step in steps:
        over = step.above is None or value > bound(step.above)
        if over and (step.below is None or value < bound(step.below)):
            return step.result
    raise AssertionError("the last step of a classification holds always")
