"""Measures in the units and within the ranges of their attributes, before any mapping looks at them. Pure.

A unit that the message itself states is converted to the one its attribute has; temperatures are °C where nobody says
otherwise. A value outside the range of its attribute (`min`, `max`) is left out, and told.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from agents.errors import Implausible, WrongShape
from agents.measure import Measure
from agents.profile import Profile
from agents.profile_attributes import AttributeRule
from agents.specification import AttributeSpec, MappingSpec
from agents.units import CONVERSIONS, convert
from agents.values import number


class Norm(NamedTuple):
    """What is known of a field: the attribute it becomes, the unit its mapping expects, and what is plausible."""

    attribute: str
    source: str | None = None
    """Unit of the field, as the mapping takes it."""
    unit: str | None = None
    """Unit of the attribute, and of `low` and `high`."""
    low: float | None = None
    high: float | None = None

    @property
    def has_range(self) -> bool:
        """Whether anything is implausible."""
        return self.low is not None or self.high is not None


Norms = Mapping[str, Norm]
"""By field. Empty: nothing is known, nothing to do."""

NOTHING: Norms = MappingProxyType({})

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_USUAL = {"FAH": "CEL", "KEL": "CEL"}
"""What a stated unit becomes where the attribute has none."""


def norms_of(spec: MappingSpec, profile: Profile) -> Norms:
    """Return the norms of everything that is measured by a specification; `NOTHING` where none says anything."""
    if profile.entities:
        rules = (rule for entity in profile.entities for rule in entity.attributes.items())
        norms = {rule.field: _of_rule(name, rule) for name, rule in rules if rule.field is not None}
    else:  # of several attributes of one field, the first that has a range, else the first
        by_field = [(attribute.field, _of_attribute(attribute)) for attribute in reversed(spec.attributes)]
        norms = dict(sorted(by_field, key=lambda known: known[1].has_range))
    known = {field: norm for field, norm in norms.items() if norm[1:] != (None,) * 4}
    return MappingProxyType(known) if known else NOTHING


def _of_rule(name: str, rule: AttributeRule) -> Norm:
    return Norm(name, rule.from_unit or rule.unit, rule.unit, rule.low, rule.high)


def _of_attribute(spec: AttributeSpec) -> Norm:
    return Norm(spec.name, spec.from_unit or spec.unit, spec.unit, spec.low, spec.high)


def normalised(measure: Measure, norms: Norms) -> tuple[Measure, list[Implausible]]:
    """Return the measure in its norms, with plain numbers, and what has been left out of it.

    `WrongShape` for a unit that does not fit.
    """
    values, units = dict(measure.values), dict(measure.units)
    values |= _unquoted(values, norms)
    for field, stated in measure.units.items():
        if field in values:
            values[field], units[field] = _in_unit(values[field], field, stated, norms.get(field))
    left_out = list(_implausible(values, norms))
    for field, _ in left_out:
        del values[field]
    return measure._replace(values=values, units=units), [error for _, error in left_out]


def _unquoted(values: Mapping[str, object], norms: Norms) -> Iterable[tuple[str, int | float]]:
    """Numbers of quantities that come in quotes; a text that is none is left to whoever looks at it next."""
    for field in norms.keys() & values.keys():
        text = values[field]
        if isinstance(text, str) and _NUMBER.fullmatch(text) is not None:
            yield field, float(text) if "." in text else int(text)


def _in_unit(value: object, field: str, stated: str, norm: Norm | None) -> tuple[object, str]:
    """The value in the unit its mapping expects, and that unit."""
    wanted = norm.source if norm is not None and norm.source is not None else _USUAL.get(stated, stated)
    if wanted == stated:
        if norm is not None and isinstance(value, str):
            number(value, field)  # a quantity, which no other text is
        return value, stated
    if (stated, wanted) not in CONVERSIONS:
        raise WrongShape(f"field {field} is in {stated}, which cannot be converted to {wanted}")
    return convert(number(value, field), stated, wanted), wanted


def _implausible(values: Mapping[str, object], norms: Norms) -> Iterable[tuple[str, Implausible]]:
    for field, norm in norms.items():
        if not norm.has_range or (value := values.get(field)) is None:
            continue
        measured = number(value, field)
        if norm.source is not None and norm.unit is not None and norm.source != norm.unit:
            measured = convert(measured, norm.source, norm.unit)
        if (norm.low is not None and measured < norm.low) or (norm.high is not None and measured > norm.high):
            yield field, Implausible(f"field {field} is outside of what {norm.attribute} can be{_range(norm)}")


def _range(norm: Norm) -> str:
    bounds = [
        f"{word} {bound:g}" for word, bound in (("at least", norm.low), ("at most", norm.high)) if bound is not None
    ]
    unit = f" {norm.unit}" if norm.unit is not None else ""
    return f": {' and '.join(bounds)}{unit}"
