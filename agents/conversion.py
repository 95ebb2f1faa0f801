"""From a message to entity fragments: route, decoder, allow-list, device, clock, norms, mapping, in this order.

Whatever arrives ends as fragments and reports or as a `MeasureError`; no message can do more than be refused.
"""

import traceback
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from agents.clock import Observed, Verdict, observed
from agents.device import Device
from agents.duplicates import key_of
from agents.errors import Empty, Implausible, MeasureError, NotJson, TooLarge, Unexpected, UnknownDevice
from agents.fragment import Fragment
from agents.measure import CONFIGURATION, FOREIGN, LIVENESS, RESULT, Measure, TopicParts
from agents.normalisation import normalised
from agents.profile import Profile
from agents.protocols import PROTOCOLS, SIGNATURES
from agents.protocols.base import Decoder
from agents.reading import measures_of
from agents.registry import Registry
from agents.routing import Router
from agents.sequences import Sequences
from ngsi.datetimes import system_text

MAX_PAYLOAD_BYTES = 1_048_576
"""The FIWARE agents' limit."""

_REPORTS = frozenset({RESULT, CONFIGURATION})


class Report(NamedTuple):
    """What a device says that is no measure: the result of a command, or a request for its configuration."""

    device: Device
    measure: Measure


class Converted(NamedTuple):
    """What a message has become."""

    fragments: Sequence[Fragment]
    reports: Sequence[Report] = ()
    remarks: Sequence[MeasureError] = ()
    """What was left out of it, or is missing before it: to be counted and told, the message itself is taken."""
    keys: Sequence[str] = ()
    """Of its measures, where the profile says what copies have in common; see `agents.duplicates`."""
    is_foreign: bool = False
    """It is not from one of the vendor's devices, which only have topics of the same form."""


class _Making(NamedTuple):
    """What a message becomes, while it is being made."""

    fragments: list[Fragment]
    reports: list[Report]
    remarks: list[MeasureError]
    keys: list[str]


class _Plan(NamedTuple):
    """What has to be done for a profile, worked out beforehand."""

    decode: Decoder
    allowed: frozenset[str]
    topic_names_device: bool
    is_counted: bool
    may_be_foreign: bool
    key: bytes | None
    """The operator's key of messages that are signed."""


class Converter:
    """Makes fragments of messages."""

    def __init__(
        self,
        router: Router,
        registry: Registry,
        secrets: Mapping[str, bytes] | None = None,
        committed: Container[str] = (),
    ) -> None:
        """`secrets`: the operator's keys by name; `committed`: keys of measures that need not be converted again."""
        self._router = router
        self._registry = registry
        self._committed = committed
        self._sequences = Sequences()
        self._plans = {profile.name: _plan(profile, secrets or {}) for profile in router.profiles}
        self.clocks: Counter[Verdict] = Counter()
        """Measures so far by what became of the device's time."""
        self.duplicates: Counter[str] = Counter()
        """Copies that were left out, by profile."""
        self.ignored: Counter[str] = Counter()
        """Messages of no concern, by profile: of devices nobody has named, where the profile ignores those; of other
        senders on topics of the same form; to a device."""

    def convert(self, topic: str, payload: bytes, received_at: datetime) -> Converted:
        """Return what an MQTT message has become; `MeasureError` when it cannot be understood."""
        try:
            profiles, parts = self._router.route(topic)
            if len(profiles) == 1:
                return self._convert(profiles[0], parts, payload, received_at)
            return self._by_who_knows(profiles, parts, payload, received_at)
        except MeasureError:
            raise
        except Exception as error:
            raise Unexpected(_where(error)) from None  # the text of a foreign exception may quote the payload

    def convert_as(
        self,
        profile: Profile,
        parts: TopicParts,
        payload: bytes,
        received_at: datetime,
        resource: str = "",
        stated_at: datetime | None = None,
    ) -> Converted:
        """Return what a message has become whose profile is known beforehand; `MeasureError` as for `convert`.

        `resource`: the route it came by, when that is not the protocol's own; `stated_at`: the time the request states.
        """
        try:
            return self._convert(profile, parts, payload, received_at, resource, stated_at)
        except MeasureError:
            raise
        except Exception as error:
            raise Unexpected(_where(error)) from None

    def _by_who_knows(
        self, profiles: Sequence[Profile], parts: TopicParts, payload: bytes, received_at: datetime
    ) -> Converted:
        """Let the first profile read it that knows the device and can read the payload."""
        key = (parts.get("apikey", ""), parts.get("device", ""))
        knowing = [profile for profile in profiles if self._registry.knows(profile.name, *key)]
        if not knowing and key[1]:
            self._registry.find(profiles[0].name, *key)  # tells that it is unknown, whatever the payload is
        *others, last = knowing or [profiles[0]]
        for profile in others:  # a group of no particular protocol: what is not JSON is for the next
            try:
                return self._convert(profile, parts, payload, received_at)
            except NotJson:
                continue
        return self._convert(last, parts, payload, received_at)

    def _convert(
        self,
        profile: Profile,
        parts: TopicParts,
        payload: bytes,
        received_at: datetime,
        resource: str = "",
        stated_at: datetime | None = None,
    ) -> Converted:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise TooLarge(f"{len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}")
        plan = self._plans[profile.name]
        if plan.key is not None:
            SIGNATURES[profile.protocol](payload, plan.key)
        making, nothing = _Making([], [], [], []), None
        if plan.may_be_foreign and self._is_foreign(profile, parts):
            self.ignored[profile.name] += 1
            return Converted(*making, is_foreign=True)
        for measure in measures_of(profile, plan.decode, plan.allowed, parts, payload, received_at):
            if measure.kind == FOREIGN:
                self.ignored[profile.name] += 1
                continue
            if stated_at is not None:
                measure = measure._replace(observed_at=stated_at)
            id_ = parts["device"] if plan.topic_names_device else profile.device.render({**measure.values, **parts})
            try:
                device = self._registry.find(profile.name, parts.get("apikey", ""), id_, resource)
            except UnknownDevice:
                if profile.unlisted != "ignore":
                    raise
                self.ignored[profile.name] += 1
                continue
            if measure.kind in _REPORTS:
                making.reports.append(Report(device, measure))
            elif measure.kind == LIVENESS:
                making.fragments.extend(_state(measure, device, received_at))
            elif not plan.is_counted or self._is_news(profile, measure, parts, device, received_at, making):
                nothing = self._take(measure, parts, device, received_at, making) or nothing
        if nothing is not None and not (making.fragments or making.reports):
            raise nothing
        return Converted(*making)

    def _is_foreign(self, profile: Profile, parts: TopicParts) -> bool:
        """Whether the topic names a device that is neither named by anybody nor, by its id, one of the vendor's."""
        device = parts.get("device", "")
        return not profile.may_be(device) and not self._registry.names(profile.name, parts.get("apikey", ""), device)

    def _is_news(
        self,
        profile: Profile,
        measure: Measure,
        parts: TopicParts,
        device: Device,
        received_at: datetime,
        making: _Making,
    ) -> bool:
        """Whether a measure is no copy; what is missing before it is remarked."""
        if profile.dedup is not None:
            key = key_of(profile, profile.dedup, measure, parts, device.id, received_at)
            if key is not None and key in self._committed:
                self.duplicates[profile.name] += 1
                return False
            making.keys.extend(() if key is None else (key,))
        if (gap := self._sequences.check(profile, measure, parts)) is not None:
            making.remarks.append(gap)
        return True

    def _take(
        self, measure: Measure, parts: TopicParts, device: Device, received_at: datetime, making: _Making
    ) -> MeasureError | None:
        """Convert one measure; return why there is nothing in it, which costs the others of its message nothing."""
        left_out: Sequence[Implausible] = ()
        if device.has_ranges or measure.units:
            measure, left_out = normalised(measure, device.norms)
        try:
            making.fragments.extend(self._fragments(measure, parts, device, received_at))
        except MeasureError as error:
            if not (left_out or isinstance(error, Empty)):
                raise
            making.remarks.extend(left_out)
            return left_out[0] if left_out else error  # without the value left out it says nothing
        making.remarks.extend(left_out)
        return None

    def _fragments(
        self, measure: Measure, parts: TopicParts, device: Device, received_at: datetime
    ) -> Iterable[Fragment]:
        seen = observed(measure.observed_at, device.timezone, received_at)
        self.clocks[seen.verdict] += 1
        try:
            made = device.mapping(measure, seen, parts, device)
        except Empty:
            if not device.takes_anything:
                raise
            made = []
        if device.about is not None:
            return (*made, *_signs_of_life(device, seen))
        return made


def _plan(profile: Profile, secrets: Mapping[str, bytes]) -> _Plan:
    return _Plan(
        PROTOCOLS[profile.protocol],
        profile.allowed,
        profile.device.pattern == "{device}",
        profile.dedup is not None or profile.sequence is not None,
        bool(profile.ids),
        secrets.get(profile.signed) or None if profile.signed is not None else None,
    )


def _state(measure: Measure, device: Device, received_at: datetime) -> Iterable[Fragment]:
    is_online = measure.values["online"] is True
    if is_online and not device.is_silent:
        state = device.state(system_text(received_at), online=True)
        return () if state is None else (state,)
    return device.availability(system_text(received_at), online=is_online)


def _signs_of_life(device: Device, seen: Observed) -> Iterable[Fragment]:
    """The entity about the device itself, with the time of this message; and that it is back, if it was silent."""
    device.heard_ms = int(seen.received_at.timestamp() * 1000)
    if (about := device.reported(system_text(seen.at))) is not None:
        yield about
    if device.is_silent:
        yield from device.availability(system_text(seen.received_at), online=True)


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
