"""From an MQTT message to entity fragments: topic, decoder, allow-list, device, clock, mapping, in this order.

Whatever arrives ends as fragments or as a `MeasureError`; no message can do more than be refused.
"""

import traceback
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from agents.clock import Verdict, observed
from agents.device import Device
from agents.errors import MeasureError, TooLarge, Unexpected
from agents.mapping import Fragment, fragments
from agents.measure import Measure, TopicParts
from agents.profile import Profile
from agents.protocols import PROTOCOLS
from agents.pseudonyms import Pseudonyms
from agents.registry import Registry
from agents.routing import Router

MAX_PAYLOAD_BYTES = 1_048_576
"""The FIWARE agents' limit."""


class Converter:
    """Makes fragments of messages."""

    def __init__(self, router: Router, registry: Registry, pseudonyms: Pseudonyms) -> None:
        self._router = router
        self._registry = registry
        self._pseudonyms = pseudonyms
        self._plans = {
            id(profile): (PROTOCOLS[profile.protocol], profile.allowed, profile.device.pattern == "{device}")
            for profile in router.profiles
        }
        self.clocks: Counter[Verdict] = Counter()
        """Measures so far by what became of the device's time."""

    def convert(self, topic: str, payload: bytes, received_at: datetime) -> list[Fragment]:
        """Return the fragments of a message; `MeasureError` when it cannot be understood."""
        try:
            return self._convert(topic, payload, received_at)
        except MeasureError:
            raise
        except Exception as error:
            raise Unexpected(_where(error)) from None  # the text of a foreign exception may quote the payload

    def _convert(self, topic: str, payload: bytes, received_at: datetime) -> list[Fragment]:
        profile, parts = self._router.route(topic)
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise TooLarge(f"{len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}")
        decode, allowed, topic_names_device = self._plans[id(profile)]
        made: list[Fragment] = []
        for decoded in decode(parts, payload, received_at):
            measure = _allowed_only(decoded, allowed) if allowed else decoded
            device_id = parts["device"] if topic_names_device else _device_id(profile, measure, parts)
            device = self._registry.find(profile.name, parts.get("apikey", ""), device_id)
            made += self._fragments(measure, parts, device, profile, received_at)
        return made

    def _fragments(
        self, measure: Measure, parts: TopicParts, device: Device, profile: Profile, received_at: datetime
    ) -> list[Fragment]:
        seen = observed(measure.observed_at, device.timezone, received_at)
        self.clocks[seen.verdict] += 1
        return fragments(measure, seen, parts, device, profile, self._pseudonyms)


def _allowed_only(measure: Measure, allowed: frozenset[str]) -> Measure:
    values: Mapping[str, object] = {name: value for name, value in measure.values.items() if name in allowed}
    return measure._replace(values=values)


def _device_id(profile: Profile, measure: Measure, parts: TopicParts) -> str:
    return profile.device.render({**measure.values, **parts})


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
