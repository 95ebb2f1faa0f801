"""One instance of an attribute in the normalized representation: a closure that only fills in the value and the time.

Source: ETSI GS CIM 009, clauses 4.5.2 and 4.5.3.
"""

from collections.abc import Callable, Mapping

from agents.entities.kinds import Kind, kind_of
from agents.specification import TIME_ATTRIBUTE, AttributeSpec, Metadatum, StaticSpec
from agents.units import convert
from agents.values import number

Instance = dict[str, object]
Maker = Callable[[object, str | None], Instance | None]
"""(value, time of the measure) -> instance; None when there is nothing to send. Raises `WrongShape`."""

_PLAIN_MEMBERS = frozenset({"unitCode", "datasetId", "observedAt"})
_NOT_SUB_ATTRIBUTES = frozenset({"type", "value", "object", TIME_ATTRIBUTE})


def maker_of(spec: AttributeSpec) -> Maker:
    """Return what makes the instances of an attribute."""
    kind = kind_of(spec.type, spec.name)
    fixed = fixed_members(spec.unit, spec.metadata)
    if spec.from_unit is not None and spec.unit is not None:
        return _converting(kind, spec.field, spec.from_unit, spec.unit, fixed)
    if kind.conversion is not None or fixed.keys() - {"unitCode"}:
        return _general(kind, fixed)
    if "unitCode" in fixed:
        return _with_unit(kind, fixed["unitCode"])
    return _bare(kind)


def fixed_members(unit: str | None, metadata: Mapping[str, Metadatum]) -> Instance:
    """Members that are the same in every instance: the unit, and the metadata that are no expressions."""
    fixed: Instance = {} if unit is None else {"unitCode": unit}
    for name, metadatum in metadata.items():
        if metadatum.expression is None and name not in _NOT_SUB_ATTRIBUTES:
            fixed |= metadata_member(name, metadatum, metadatum.value)
    return fixed


def metadata_member(name: str, metadatum: Metadatum, value: object) -> Instance:
    """Write a metadatum: `unitCode` and the like as they are, every other as a property of the attribute."""
    if name in _PLAIN_MEMBERS:
        return {name: value}
    made = typed_instance(metadatum.type, value, name)
    return {} if made is None else {name: made}


def typed_instance(type_: str, value: object, name: str) -> Instance | None:
    """Return the instance of a value of a type of the FIWARE agents; None when it has none."""
    return _general(kind_of(type_, name), {})(value, None)


def static_instance(spec: StaticSpec) -> Instance | None:
    """Return the instance of a static attribute; None when it has no value. Raises `WrongShape`."""
    return _general(kind_of(spec.type, spec.name), fixed_members(spec.unit, spec.metadata))(spec.value, None)


def _bare(kind: Kind) -> Maker:
    name, member = kind.name, kind.member

    def make(value: object, at: str | None) -> Instance | None:
        if at is None:
            return {"type": name, member: value}
        return {"type": name, member: value, "observedAt": at}

    return make


def _with_unit(kind: Kind, unit: object) -> Maker:
    name, member = kind.name, kind.member

    def make(value: object, at: str | None) -> Instance | None:
        if at is None:
            return {"type": name, member: value, "unitCode": unit}
        return {"type": name, member: value, "unitCode": unit, "observedAt": at}

    return make


def _general(kind: Kind, fixed: Instance) -> Maker:
    name, member, conversion = kind

    def make(value: object, at: str | None) -> Instance | None:
        if conversion is not None:
            value = conversion(value)
        if value is None:
            return None
        made = {"type": name, member: value, **fixed}
        if at is not None:
            made.setdefault("observedAt", at)
        return made

    return make


def _converting(kind: Kind, field: str, source: str, target: str, fixed: Instance) -> Maker:
    inner = _general(kind._replace(conversion=None), fixed)

    def make(value: object, at: str | None) -> Instance | None:
        return inner(convert(number(value, field), source, target), at)

    return make
