"""From a message to entity fragments: route, decoder, allow-list, device, clock, mapping, in this order.

Whatever arrives ends as fragments and reports or as a `MeasureError`; no message can do more than be refused.
"""

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from agents.clock import Verdict, observed
from agents.device import Device
from agents.errors import MeasureError, NotJson, TooLarge, Unexpected
from agents.fragment import Fragment
from agents.measure import CONFIGURATION, RESULT, Measure, TopicParts
from agents.profile import Profile
from agents.protocols import PROTOCOLS
from agents.registry import Registry
from agents.routing import Router
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


class Converter:
    """Makes fragments of messages."""

    def __init__(self, router: Router, registry: Registry) -> None:
        self._router = router
        self._registry = registry
        self._plans = {
            profile.name: (PROTOCOLS[profile.protocol], profile.allowed, profile.device.pattern == "{device}")
            for profile in router.profiles
        }
        self.clocks: Counter[Verdict] = Counter()
        """Measures so far by what became of the device's time."""

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
        *others, last = [profile for profile in profiles if self._registry.knows(profile.name, *key)] or [profiles[0]]
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
        decode, allowed, topic_names_device = self._plans[profile.name]
        made: list[Fragment] = []
        reports: list[Report] = []
        for decoded in decode(parts, payload, received_at):
            measure = _allowed_only(decoded, allowed) if allowed else decoded
            if stated_at is not None:
                measure = measure._replace(observed_at=stated_at)
            id_ = parts["device"] if topic_names_device else profile.device.render({**measure.values, **parts})
            device = self._registry.find(profile.name, parts.get("apikey", ""), id_, resource)
            if measure.kind in _REPORTS:
                reports.append(Report(device, measure))
            else:
                made += self._fragments(measure, parts, device, received_at)
        return Converted(made, reports)

    def _fragments(
        self, measure: Measure, parts: TopicParts, device: Device, received_at: datetime
    ) -> Iterable[Fragment]:
        seen = observed(measure.observed_at, device.timezone, received_at)
        self.clocks[seen.verdict] += 1
        made = device.mapping(measure, seen, parts, device)
        if device.about is not None and (about := device.reported(system_text(seen.at))) is not None:
            return (*made, about)
        return made


def _allowed_only(measure: Measure, allowed: frozenset[str]) -> Measure:
    values: Mapping[str, object] = {name: value for name, value in measure.values.items() if name in allowed}
    return measure._replace(values=values)


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
