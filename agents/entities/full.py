"""Measures with everything the FIWARE agents can do: expressions, several entities, `explicitAttrs`, links.

Source: telefonicaid/iotagent-node-lib, doc/api.md: "Measurement transformation", "Multientity support", "Explicitly
defined attributes", "NGSI-LD Linked Data support". Static attributes come first, then the attributes in their order,
and each sees the results of those before it; an expression that fails gives nothing to send, as with the agents.
"""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from agents.clock import Observed, observed
from agents.entities.explicit import Only, Selected, Selection, selection_of
from agents.entities.instances import Instance
from agents.entities.payloads import Unpacked, unpacked
from agents.entities.steps import UNNAMED, Step, attempted, attribute_step, static_step
from agents.entities.writing import dumped, stated_time
from agents.errors import Empty
from agents.expressions import compile_expression
from agents.fragment import Fragment
from agents.measure import Measure, TopicParts
from agents.names import attribute_name, entity_id
from agents.specification import TIME_ATTRIBUTE, Link, MappingSpec

if TYPE_CHECKING:
    from agents.device import Device

EntityKey = tuple[str, str]
"""Id and type."""

_OLD_CONTEXT = "oldCtxt"
_RENAMED = {"id": "measure_id", "type": "measure_type"}


class Result(NamedTuple):
    """A value on its way into an entity. `step` is None for a field that nobody has named."""

    name: str
    field: str
    value: object
    step: Step | None
    metadata: Instance


class FullMapping:
    """The mapping of any specification."""

    def __init__(self, spec: MappingSpec) -> None:
        """Compile the expressions; `InvalidExpression` for one that cannot be understood."""
        self._steps = (*map(static_step, spec.statics), *map(attribute_step, spec.attributes))
        self._taken = frozenset(attribute.field for attribute in spec.attributes)
        self._fixed = frozenset(static.name for static in spec.statics if static.value is not None)
        self._constants = {static.name: static.value for static in spec.statics}
        described = [(attribute.name, attribute.metadata) for attribute in spec.attributes if attribute.metadata]
        described += [(static.name, static.metadata) for static in spec.statics if static.metadata]
        self._metadata = {
            name: {key: metadatum.value for key, metadatum in metadata.items()} for name, metadata in described
        }
        self._selection = selection_of(spec.explicit)
        self._entity_name = None if spec.entity_name is None else compile_expression(spec.entity_name)
        self._links = tuple((static.name, static.link) for static in spec.statics if static.link is not None)
        self._timestamp = spec.timestamp
        self._payload_type = spec.payload_type
        self._looks_back = any(_OLD_CONTEXT in step.names for step in self._steps)

    def __call__(self, measure: Measure, seen: Observed, parts: TopicParts, device: "Device") -> list[Fragment]:
        """Return the fragments of a measure, the device's own entity first; `Empty` when there is nothing in them."""
        made = [
            fragment
            for entity in unpacked(measure, self._payload_type)
            for fragment in self._fragments(entity, seen, device)
        ]
        if not made:
            raise Empty("the measure has none of the device's attributes")
        return made

    def _fragments(self, measured: Unpacked, seen: Observed, device: "Device") -> list[Fragment]:
        context = self._context(measured.values, seen, device)
        own_id = self._own_id(context, device)
        context["entity_name"] = own_id
        own = (own_id, device.entity_type)
        entities: dict[EntityKey, list[Result]] = {own: []}
        for step in self._steps:
            result = step.run(measured.values, context)
            if result is not None:
                key = step.entity(context, own)
                entities.setdefault(key, []).append(Result(step.name, step.field, result.value, step, result.metadata))
        selection = self._selection(context)
        if selection is Selection.ALL:
            entities[own] += self._others(measured.values)
        if self._looks_back:
            device.last_context = {name: value for name, value in context.items() if name != _OLD_CONTEXT}
        return self._written(entities, own, selection, measured, seen, device)

    def _context(self, values: Mapping[str, object], seen: Observed, device: "Device") -> dict[str, object]:
        """What expressions may read."""
        context: dict[str, object] = {_RENAMED.get(name, name): value for name, value in values.items()}
        context.update(self._constants)
        context.update(device.identity)
        context[TIME_ATTRIBUTE] = stated_time(seen, always=True)
        if self._metadata:
            context["metadata"] = self._metadata
        if self._looks_back:
            context[_OLD_CONTEXT] = device.last_context
        return context

    def _own_id(self, context: Mapping[str, object], device: "Device") -> str:
        name = None if self._entity_name is None else attempted(self._entity_name, context)
        if isinstance(name, str | int) and not isinstance(name, bool) and name != "":
            return entity_id(str(name), device.entity_type)
        return device.entity_id

    def _others(self, values: Mapping[str, object]) -> list[Result]:
        """The fields nobody has named; what is static is not the device's to say."""
        named = [
            (attribute_name(field), field, value)
            for field, value in values.items()
            if field not in self._taken and value is not None
        ]
        return [Result(*each, None, {}) for each in named if each[0] not in self._fixed]

    def _written(
        self,
        entities: Mapping[EntityKey, list[Result]],
        own: EntityKey,
        selection: Selected,
        measured: Unpacked,
        seen: Observed,
        device: "Device",
    ) -> list[Fragment]:
        written: dict[EntityKey, dict[str, object]] = {}
        says_something = False
        for key, results in entities.items():
            at = self._time(results, seen, device.timezone)
            entity: dict[str, object] = {"id": key[0], "type": key[1]}
            for result in results:
                if result.name == TIME_ATTRIBUTE or not _is_selected(result, selection):
                    continue
                instance = _instance(result, at, measured)
                if instance is not None:
                    _enter(entity, result.name, instance)
                    says_something = says_something or not (result.step is not None and result.step.is_static)
            if len(entity) > len(("id", "type")):
                written[key] = entity
        if not says_something:
            return []
        linked = [entity for name, link in self._links for entity in _linked(written.get(own, {}), name, link)]
        return [Fragment(str(entity["id"]), dumped(entity), device.target) for entity in (*written.values(), *linked)]

    def _time(self, results: list[Result], seen: Observed, zone: tzinfo) -> str | None:
        """`observedAt` of an entity: what was made of the attribute TimeInstant, else the measure's own time."""
        for result in results:
            if result.name == TIME_ATTRIBUTE and isinstance(result.value, str):
                try:
                    stated = datetime.fromisoformat(result.value)
                except ValueError:
                    break
                return stated_time(observed(stated, zone, seen.received_at), always=True)
        return stated_time(seen, always=self._timestamp)


def _is_selected(result: Result, selection: Selected) -> bool:
    """Whether `explicitAttrs` lets it through. A field nobody has named is there only when all are wanted."""
    if isinstance(selection, Only):
        return selection.takes(result.name, result.field)
    return selection is not Selection.NOTHING


def _instance(result: Result, at: str | None, measured: Unpacked) -> object:
    """The attribute as it is written: one instance, or a list of them as a device wrote it."""
    stated, unit = measured.stated.get(result.field), measured.units.get(result.field)
    if result.step is None:
        if stated is None:
            bare = UNNAMED(result.value, at)
            return bare | {"unitCode": unit} if bare is not None and unit is not None else bare
        if isinstance(stated, list):
            return [{"observedAt": at, **instance} if at else instance for instance in stated]
        return ({"observedAt": at, **stated} if at else stated) or None
    made = result.step.make(result.value, at)
    if made is not None:
        made |= result.metadata
        if unit is not None and not result.step.names:  # what an expression makes of it may have another
            made.setdefault("unitCode", unit)
        if isinstance(stated, dict):
            made |= {name: stated[name] for name in ("unitCode", "observedAt", "datasetId") if name in stated}
    return made


def _enter(entity: dict[str, object], name: str, instance: object) -> None:
    """Enter an attribute; instances of one name stand side by side when their datasetIds differ."""
    known = entity.get(name)
    if known is None or not isinstance(instance, dict):
        entity[name] = instance
        return
    others: list[Instance] = known if isinstance(known, list) else [known]  # type: ignore[list-item] # made above
    kept = [other for other in others if other.get("datasetId") != instance.get("datasetId")]
    entity[name] = [*kept, instance] if kept else instance


def _linked(own: Mapping[str, object], name: str, link: Link) -> list[dict[str, object]]:
    """The entity a static Relationship points to, with the attributes it passes on."""
    source = own.get(name)
    if not isinstance(source, dict):
        return []
    to = source.get("object", source.get("value"))
    passed = {attribute: own[attribute] for attribute in link.attributes if isinstance(own.get(attribute), dict)}
    if not isinstance(to, str) or not passed:
        return []
    type_ = link.type or to.removeprefix("urn:ngsi-ld:").partition(":")[0]
    back = {"type": "Relationship", "object": own["id"]}
    attributes = {attribute: {**instance, link.name: back} for attribute, instance in passed.items()}  # type: ignore[dict-item]
    return [{"id": to, "type": type_, **attributes}]
