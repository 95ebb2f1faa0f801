"""Measures whose fields become attributes of the device's own entity, one by one: the case of nearly every device."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import orjson

from agents.clock import Observed
from agents.entities.instances import Maker, maker_of, static_instance
from agents.entities.writing import dumped, stated_time
from agents.errors import Empty
from agents.fragment import Fragment
from agents.measure import Measure, TopicParts
from agents.names import attribute_name
from agents.specification import TIME_ATTRIBUTE, AttributeSpec, MappingSpec

if TYPE_CHECKING:
    from agents.device import Device

MAX_NAMES_COUNT = 1000
"""Fields nobody has named that are remembered per mapping; beyond that they are worked out each time."""

Makers = tuple[tuple[str, Maker], ...]


def is_plain(spec: MappingSpec) -> bool:
    """Whether these closures are enough for a specification."""
    names = [attribute.name for attribute in spec.attributes]
    return (
        isinstance(spec.explicit, bool)
        and spec.entity_name is None
        and spec.payload_type == "iotagent"
        and TIME_ATTRIBUTE not in names
        and len(set(names)) == len(names)
        and not any(static.entity_name or static.entity_type or static.link for static in spec.statics)
        and all(_is_plain(attribute) for attribute in spec.attributes)
    )


def _is_plain(attribute: AttributeSpec) -> bool:
    computed = any(metadatum.expression is not None for metadatum in attribute.metadata.values())
    other = attribute.entity_name is not None or attribute.entity_type is not None
    return attribute.expression is None and attribute.skip is None and not computed and not other


class PlainMapping:
    """The mapping of `is_plain` specifications."""

    __slots__ = ("_explicit", "_makers", "_statics", "_timestamp")

    def __init__(self, spec: MappingSpec) -> None:
        self._explicit = spec.explicit is True
        self._timestamp = spec.timestamp
        self._makers: dict[str, Makers] = {}
        for attribute in spec.attributes:
            others = self._makers.get(attribute.field, ())
            self._makers[attribute.field] = (*others, (attribute.name, maker_of(attribute)))
        instances = {static.name: static_instance(static) for static in spec.statics}
        self._statics: Mapping[str, orjson.Fragment] = {
            name: orjson.Fragment(orjson.dumps(instance))
            for name, instance in instances.items()
            if instance is not None
        }

    def __call__(self, measure: Measure, seen: Observed, parts: TopicParts, device: "Device") -> list[Fragment]:
        """Return the one fragment of a measure; `Empty` when it has none of the device's attributes."""
        at = stated_time(seen, always=self._timestamp)
        entity: dict[str, object] = {"id": device.entity_id, "type": device.entity_type, **self._statics}
        makers = self._makers
        is_empty = True
        for field, value in measure.values.items():
            if value is None:
                continue
            named = makers.get(field)
            for name, make in self._others(field) if named is None else named:
                instance = make(value, at)
                if instance is not None:
                    if measure.units and field in measure.units:
                        instance.setdefault("unitCode", measure.units[field])
                    entity[name] = instance
                    is_empty = False
        if is_empty:
            raise Empty("the measure has none of the device's attributes")
        return [Fragment(device.entity_id, dumped(entity), device.target)]

    def _others(self, field: str) -> Makers:
        """What becomes of a field nobody has named. What is static is not the device's to say."""
        if self._explicit:
            return ()
        name = attribute_name(field)
        made: Makers = () if name in self._statics else ((name, _UNNAMED),)
        if len(self._makers) < MAX_NAMES_COUNT:
            self._makers[field] = made
        return made


_UNNAMED = maker_of(AttributeSpec("", ""))
