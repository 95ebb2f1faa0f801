"""A device as its messages meet it, with everything that never changes worked out beforehand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from agents.clock import Observed
from agents.fragment import Fragment, json_of
from agents.measure import Measure, TopicParts
from agents.names import default_id
from agents.normalisation import NOTHING, Norms
from agents.specification import DeviceSpec, Scalar, Target


@dataclass(slots=True)
class Device:
    """One device. `mapping` is shared by all devices with the same specification of it."""

    id: str
    profile: str
    target: Target
    entity_id: str
    entity_type: str
    mapping: "Callable[[Measure, Observed, TopicParts, Device], list[Fragment]]"
    spec: DeviceSpec
    norms: Norms = field(default_factory=lambda: NOTHING)
    """Units and ranges of its fields."""
    has_ranges: bool = False
    """Whether any of its fields has a range: most have none, and their measures are not looked through."""
    takes_anything: bool = False
    """A message with nothing to store in it is a sign of life, no mistake."""
    timezone: tzinfo = UTC
    """Zone of the wall times the device states without one."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """What expressions read of the device: id, type, service, subservice."""
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    """What the rules of a profile read of the device."""
    about: Mapping[str, object] | None = None
    """The unchanging part of the entity about the device itself."""
    about_id: str = ""
    last_reported: str = ""
    """The newest time this process has reported for the device."""
    heard_ms: int = 0
    """When this process last heard it, in milliseconds since 1970; only for devices with an entity of their own."""
    is_silent: bool = False
    """Its entity says that it is offline, by its last will or its silence."""
    is_asked_about: bool = False
    """The context broker has been asked whether it was silent before."""
    seen_elsewhere: str = ""
    """The newest time that the context broker has told."""
    last_context: Mapping[str, object] = field(default_factory=dict)
    """What expressions saw at the measure before, when one of them looks back (`oldCtxt`)."""

    def reported(self, at: str) -> Fragment | None:
        """Return the entity about the device itself, with the time of its newest message; None when that is not new.

        A late message does not make a device look silent.
        """
        if self.about is None or at < self.last_reported:
            return None
        self.last_reported = at
        reported = {"type": "Property", "value": at, "observedAt": at}
        body = json_of({**self.about, "dateLastValueReported": reported})
        return Fragment(self.about_id, body, self.target)

    def state(self, at: str, *, online: bool) -> Fragment | None:
        """Return the entity about the device itself, with what its availability topic says; None when there is none."""
        if self.about is None:
            return None
        state = {"type": "Property", "value": "online" if online else "offline", "observedAt": at}
        return Fragment(self.about_id, json_of({**self.about, "deviceState": state}), self.target)

    def availability(self, at: str, *, online: bool) -> list[Fragment]:
        """Return its state, and the Alert that is open while it is offline."""
        self.is_silent = not online
        state = self.state(at, online=online)
        return [] if state is None else [state, self._alert(at, is_open=not online)]

    def _alert(self, at: str, *, is_open: bool) -> Fragment:
        subject = self.about_id.rpartition(":")[2]
        words = {
            "category": "device",
            "subCategory": "silent",
            "severity": "low",
            "status": "open" if is_open else "closed",
            "description": f"{subject} sends nothing" if is_open else f"{subject} sends again",
        }
        alert: dict[str, object] = {"id": f"urn:ngsi-ld:Alert:device-{subject}", "type": "Alert"}
        alert |= {name: {"type": "Property", "value": value, "observedAt": at} for name, value in words.items()}
        alert["alertSource"] = {"type": "Relationship", "object": self.about_id}
        if is_open:
            alert["dateIssued"] = {"type": "Property", "value": at, "observedAt": at}
        return Fragment(str(alert["id"]), json_of(alert), self.target)


MappingOf = Callable[[Measure, Observed, TopicParts, Device], list[Fragment]]
"""What a device's measures become; see `agents.entities`."""


def device_of(spec: DeviceSpec, mapping: MappingOf, norms: Norms = NOTHING, *, takes_anything: bool = False) -> Device:
    """Return the device of a specification."""
    about_id = spec.device_name or default_id(spec.device_type, spec.id) if spec.device_type else ""
    return Device(
        id=spec.id,
        profile=spec.profile,
        target=spec.target,
        entity_id=spec.entity_id,
        entity_type=spec.entity_type,
        mapping=mapping,
        spec=spec,
        norms=norms,
        has_ranges=any(norm.has_range for norm in norms.values()),
        takes_anything=takes_anything,
        timezone=ZoneInfo(spec.timezone),
        identity={
            "id": spec.id,
            "type": spec.entity_type,
            "service": spec.service,
            "subservice": spec.servicepath,
        },
        settings=settings_of(spec, about_id),
        about=_about(spec, about_id) if spec.device_type else None,
        about_id=about_id,
    )


def settings_of(spec: DeviceSpec, about_id: str) -> dict[str, Scalar]:
    """What the rules of a profile may read of a device."""
    own = {"device": spec.id, "entity": about_id, "zone": spec.zone}
    return {**spec.settings, **{name: value for name, value in own.items() if value}}


def _about(spec: DeviceSpec, about_id: str) -> dict[str, object]:
    about: dict[str, object] = {"id": about_id, "type": spec.device_type}
    if spec.zone is not None:
        about["zone"] = {"type": "Relationship", "object": spec.zone}
    if spec.expected_interval_s is not None:
        about["expectedInterval"] = {"type": "Property", "value": spec.expected_interval_s, "unitCode": "SEC"}
    return about
