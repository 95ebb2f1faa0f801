"""Messages that make entities by the rules of a profile (`[[entity]]`)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agents.clock import Observed
from agents.duplicates import stamp
from agents.entities.writing import dumped
from agents.fragment import Fragment
from agents.measure import Measure, TopicParts
from agents.profile import EntityRule, Profile
from agents.pseudonyms import Pseudonyms
from agents.values import value_of
from ngsi.datetimes import parse, system_text

if TYPE_CHECKING:
    from agents.device import Device


class RuledMapping:
    """The mapping of a profile with rules: every measured attribute carries `observedAt`."""

    __slots__ = ("_pseudonyms", "_rules")

    def __init__(self, profile: Profile, pseudonyms: Pseudonyms) -> None:
        self._rules = profile.entities
        self._pseudonyms = pseudonyms

    def __call__(self, measure: Measure, seen: Observed, parts: TopicParts, device: "Device") -> list[Fragment]:
        """Return the fragments a measure makes, in the order of the rules."""
        at = system_text(seen.at)
        return [
            self._ruled(rule, measure, at, parts, device)
            for rule in self._rules
            if (rule.kind is None or rule.kind == measure.kind) and (rule.has is None or rule.has in measure.values)
        ]

    def _ruled(self, rule: EntityRule, measure: Measure, at: str, parts: TopicParts, device: "Device") -> Fragment:
        made: dict[str, object] = {}
        pseudonyms = self._pseudonyms.within(device.target.tenant)
        entity: dict[str, object] = {"id": "", "type": rule.type}
        for name, attribute in rule.attributes.items():
            if attribute.optional and attribute.field not in measure.values:
                continue
            made[name] = value = value_of(attribute, measure, device.settings, at, pseudonyms)
            member = "object" if attribute.kind == "Relationship" else "value"
            instance: dict[str, object] = {"type": attribute.kind, member: value, "observedAt": at}
            unit = attribute.unit or measure.units.get(attribute.field or "")
            if unit is not None and attribute.classify is None:
                instance["unitCode"] = unit
            entity[name] = instance
        entity["id"] = entity_id = rule.id.render(_id_parts(measure, at, parts, device, made))
        return Fragment(entity_id, dumped(entity), device.target)


def _id_parts(
    measure: Measure, at: str, parts: TopicParts, device: "Device", made: Mapping[str, object]
) -> dict[str, object]:
    """What an id is made of. `stamp` is the device's own time, so that a repeated message has the same id."""
    stated = measure.observed_at if measure.observed_at and measure.observed_at.tzinfo else parse(at)
    return {**measure.values, **parts, **made, "device": device.id, "stamp": stamp(stated)}
