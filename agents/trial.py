"""Trying a profile out: what a message would become, step by step, or where and why it fails, and the way out.

Nothing is stored and no server is asked. The message takes the way that every message takes (`agents.conversion`), with
a device that is known, or one that is made up for the occasion.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import orjson

from agents.conversion import Converter
from agents.device import settings_of
from agents.errors import ExpressionFailed, MeasureError, UnknownDevice
from agents.expressions import compile_expression
from agents.measure import FOREIGN, LIVENESS, Measure, TopicParts
from agents.names import default_id
from agents.profile import Profile
from agents.profile_attributes import AttributeName
from agents.protocols import PROTOCOLS, REDUCED
from agents.pseudonyms import Pseudonyms
from agents.reading import measures_of
from agents.registry import Key, Registry, Source
from agents.routing import CHANNEL, Router
from agents.specification import TIME_ATTRIBUTE, AttributeSpec, DeviceSpec, GroupSpec, MappingSpec, Scalar, Target
from agents.topics import TopicScheme
from agents.trial_problem import Problem, problem_of
from ngsi.datetimes import system_text

MADE_UP = "device-1"
HIDDEN = "(hidden)"

_EXAMPLES: Mapping[str, Scalar] = {"zone": "urn:ngsi-ld:Zone:1", "direction": "in", "category": "visitor"}
"""Settings of the device that is made up, where nobody gives others."""


@dataclass(frozen=True, slots=True)
class FieldTried:
    """One field of a measure. `becomes`: the attributes made of it, or why there is none."""

    name: str
    value: object
    unit: str | None
    becomes: str


@dataclass(frozen=True, slots=True)
class MeasureTried:
    """One measure, as the decoder has understood it."""

    kind: str
    observed_at: str | None
    fields: Sequence[FieldTried]


@dataclass(slots=True)
class Trial:
    """What has come of a message."""

    profile: str
    address: str
    """Topic or route the message is taken to have come by."""
    device: str = ""
    measures: list[MeasureTried] = field(default_factory=list)
    entities: list[dict[str, object]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What is left out, and what is assumed."""
    problem: Problem | None = None


class Question(NamedTuple):
    """What is to be tried. `devices`: who is known; None: a device is made up."""

    profile: Profile
    payload: bytes
    received_at: datetime
    address: str = ""
    """Topic or path; empty: the first of the profile, with made-up parts."""
    device: str = ""
    entity_type: str = ""
    settings: Mapping[str, Scalar] = {}
    devices: Source | None = None
    secrets: Mapping[str, bytes] = {}


class MadeUp(Source):
    """Knows every device of one profile."""

    def __init__(self, question: Question, tenant: str) -> None:
        self._question = question
        self._tenant = tenant

    def named(self, key: Key) -> DeviceSpec | None:
        """See Source."""
        profile = self._question.profile
        type_ = self._question.entity_type or "Thing"
        given = dict(self._question.settings)
        wanted = {name: value for name, value in _EXAMPLES.items() if name in profile.settings()}
        return DeviceSpec(
            id=key.device,
            profile=profile.name,
            target=Target(self._tenant, ""),
            entity_id=default_id(type_, key.device),
            entity_type=type_,
            apikey=key.apikey,
            settings={**wanted, **given},
            device_type="Device",
            expected_interval_s=profile.liveness.interval_s,
        )

    def group(self, profile: str, apikey: str, resource: str = "") -> GroupSpec | None:
        """See Source."""
        return None

    def joined(self, spec: DeviceSpec) -> None:
        """See Source: nobody joins."""


def attempt(question: Question, pseudonyms: Pseudonyms) -> Trial:
    """Return what comes of a message."""
    profile = question.profile
    trial = Trial(profile.name, question.address or _usual(profile).pattern)
    parts = _parts(question)
    if parts is None:
        patterns = ", ".join(scheme.pattern for scheme in _addresses(profile))
        text = f"{question.address} is no topic and no route of the profile"
        trial.problem = Problem("topic", "unknown-topic", text, f"The profile reads {patterns}")
        return trial
    source = question.devices if question.devices is not None else MadeUp(question, pseudonyms.tenant)
    registry = Registry({profile.name: profile}, [source], pseudonyms)
    try:
        payload = REDUCED.get(profile.protocol, bytes)(question.payload)
        decoded = list(
            measures_of(profile, PROTOCOLS[profile.protocol], frozenset(), parts, payload, question.received_at)
        )
    except MeasureError as error:
        trial.problem = problem_of("payload", error)
        return trial
    _show(trial, question, decoded, registry, parts)
    if trial.problem is None:
        _convert(trial, question, registry, parts, payload)
    if trial.problem is None and trial.device:
        trial.remarks += _failed_expressions(trial, registry, question, decoded, parts)
    return trial


def _addresses(profile: Profile) -> tuple[TopicScheme, ...]:
    return (*profile.topics, *profile.routes, *profile.liveness.topics)


def _usual(profile: Profile) -> TopicScheme:
    return _addresses(profile)[0]


def _parts(question: Question) -> dict[str, str] | None:
    """The parts of the address; made-up ones where there is none, None for one that the profile does not read."""
    profile = question.profile
    if not question.address:
        parts = {name: f"{name}-1" for name in _usual(profile).names}
        return {**parts, "device": question.device or MADE_UP} if "device" in parts else parts
    for scheme in profile.liveness.topics:
        if (found := scheme.parse(question.address)) is not None:
            return {**found, CHANNEL: LIVENESS}
    found_parts = (scheme.parse(question.address) for scheme in (*profile.topics, *profile.routes))
    return next((parts for parts in found_parts if parts is not None), None)


def _show(trial: Trial, question: Question, decoded: Sequence[Measure], registry: Registry, parts: TopicParts) -> None:
    """Enter the measures, and the device they are of; a problem when it is not known or lacks a setting."""
    profile = question.profile
    spec: DeviceSpec | None = None
    for measure in decoded:
        if measure.kind == FOREIGN:
            trial.measures.append(_tried(measure, profile, MappingSpec()))
            continue
        try:
            trial.device = profile.device.render({**measure.values, **parts})
            device = registry.find(profile.name, parts.get("apikey", ""), trial.device)
            spec = device.spec
        except UnknownDevice as error:
            trial.problem = problem_of("device", error, trial.device, profile.name)
        except MeasureError as error:
            trial.problem = problem_of("device", error)
        trial.measures.append(_tried(measure, profile, spec.mapping if spec is not None else MappingSpec()))
    if spec is not None and trial.problem is None:
        trial.problem = _lacking(profile, spec)
        if question.devices is None:
            assumed = [f"{name} = {spec.settings[name]}" for name in sorted(profile.settings() & spec.settings.keys())]
            said = f" with {', '.join(assumed)}" if assumed else ""
            trial.remarks.append(f"the device {spec.id} is made up{said}; --devices FILE takes those of a device file")
            if not profile.may_be(spec.id):
                others = ", ".join(profile.ids)
                trial.remarks.append(
                    f"messages of devices with such an id are ignored unless it is named, not {others}"
                )


def _lacking(profile: Profile, spec: DeviceSpec) -> Problem | None:
    """A problem when the device does not have the settings that the rules ask for."""
    missing = sorted(profile.settings() - settings_of(spec, spec.device_type or "").keys())
    if not missing:
        return None
    options = " ".join(f"--set {name}=VALUE" for name in missing)
    way_out = f"Give it: {options}; in a device file: settings = {{ {missing[0]} = … }}"
    return Problem("device", "missing-setting", f"the profile needs {', '.join(missing)} of the device", way_out)


def _tried(measure: Measure, profile: Profile, mapping: MappingSpec) -> MeasureTried:
    hidden = frozenset(profile.fields.sensitive) if profile.fields is not None else frozenset()
    fields = [
        FieldTried(name, HIDDEN if name in hidden else value, measure.units.get(name), _becomes(name, profile, mapping))
        for name, value in measure.values.items()
    ]
    at = measure.observed_at
    stated = None if at is None else system_text(at) if at.tzinfo else f"{at.isoformat()} (wall time of the device)"
    return MeasureTried(measure.kind, stated, fields)


def _becomes(name: str, profile: Profile, mapping: MappingSpec) -> str:
    if profile.allowed and name not in profile.told:
        return "dropped: not in [fields]"
    if profile.entities:
        made = [
            f"{entity.type}.{attribute}" + (" (pseudonym)" if rule.pseudonym else " (class)" if rule.classify else "")
            for entity in profile.entities
            for attribute, rule in entity.attributes.items()
            if rule.field == name
        ]
        return ", ".join(made) or "used in ids only"
    named: dict[str, AttributeSpec | AttributeName] = {**profile.attributes}
    named |= {attribute.field: attribute for attribute in mapping.attributes}
    if (made_of := named.get(name)) is not None:
        return made_of.name if made_of.from_unit is None else f"{made_of.name} ({made_of.from_unit} to {made_of.unit})"
    return "not stored: no attribute is made of it" if profile.explicit or mapping.explicit is True else name


def _convert(trial: Trial, question: Question, registry: Registry, parts: TopicParts, payload: bytes) -> None:
    profile = question.profile
    converter = Converter(Router([profile]), registry, question.secrets)
    try:
        converted = converter.convert_as(profile, parts, payload, question.received_at)
    except MeasureError as error:
        trial.problem = problem_of("mapping", error, trial.device, profile.name)
        return
    trial.entities = [orjson.loads(fragment.body) for fragment in converted.fragments]
    trial.remarks += [f"{remark.reason}: {remark}" for remark in converted.remarks]
    trial.remarks += [f"two copies of it have the key {key}" for key in converted.keys]
    replaced = {"future": "ahead of the reception", "unset": "before 2000"}
    trial.remarks += [
        f"the device's time is {replaced[verdict]}: the time of reception stands for it"
        for verdict in converter.clocks
        if verdict in replaced
    ]
    if converter.ignored:
        trial.remarks.append("it is ignored: no device that is known has sent it")
    elif not converted.fragments and not converted.reports:
        trial.remarks.append("nothing of it is stored: it only shows that the device is there")


def _failed_expressions(
    trial: Trial, registry: Registry, question: Question, decoded: Iterable[Measure], parts: TopicParts
) -> Iterator[str]:
    """Tell which expressions have given nothing, and why as far as the measure alone can say."""
    device = registry.find(question.profile.name, parts.get("apikey", ""), trial.device)
    made = {name for entity in trial.entities for name in entity}
    computed = [spec for spec in device.spec.mapping.attributes if spec.expression and spec.name not in made]
    for measure in decoded if computed else ():
        known = {**measure.values, **device.identity, TIME_ATTRIBUTE: system_text(question.received_at)}
        for spec in computed:
            assert spec.expression is not None
            expression = compile_expression(spec.expression)
            missing = sorted(set(expression.names) - known.keys())
            why = f"the measure has no {', '.join(missing)}" if missing else "it gives no value"
            try:
                expression(known)
            except ExpressionFailed as error:
                why = str(error)
            yield f"attribute {spec.name} is not there, because of its expression: {why}"
