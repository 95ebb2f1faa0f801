"""Devices: what the device file says of one, and the form in which the mapping uses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from pydantic import AfterValidator, Field, model_validator

from agents.errors import WrongShape
from agents.profile import AttributeName, FileModel, Kind, Scalar

FIWARE_PROFILE = "iotagent-json"

MAX_RULES_COUNT = 1000
"""Names of unprovisioned fields that are remembered per device; beyond that they are worked out each time."""

_CORE_MEMBERS = frozenset({"id", "type", "scope"})
_NOT_IN_NAMES = frozenset("<>\"'=;()@?&") | frozenset(map(chr, range(33)))
_MAX_NAME_LENGTH = 256


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write it like Africa/Casablanca") from None
    return name


class StaticAttribute(FileModel):
    """An attribute that every measure of the device carries."""

    kind: Kind = "Property"
    value: Any
    unit: str | None = None


class Provisioned(FileModel):
    """What groups and devices have in common; a device's own word wins over its group's."""

    profile: str = FIWARE_PROFILE
    apikey: str = ""
    entity_type: str | None = None
    """Type of the entity that carries the fields of the device's measures."""
    device_type: str | None = None
    """Type of the entity that tells about the device itself; none: there is no such entity."""
    attributes: dict[str, AttributeName] = Field(default_factory=dict)
    static: dict[str, StaticAttribute] = Field(default_factory=dict)
    explicit: bool | None = Field(default=None, alias="explicitAttrs")
    """Only fields named in `attributes` are taken."""
    expected_interval_s: int | float | None = Field(default=None, alias="expectedInterval", gt=0)
    timezone: Annotated[str, AfterValidator(_known_zone)] | None = None
    """Zone of the wall times the device states without one (default UTC)."""
    settings: dict[str, Scalar] = Field(default_factory=dict)
    """Further values the profile's rules ask for."""


class GroupEntry(Provisioned):
    """`[[group]]`: the devices that share an apikey."""

    apikey: str = Field(min_length=1)
    autoprovision: bool = False

    @model_validator(mode="after")
    def _has_a_type_for_its_devices(self) -> Self:
        if self.autoprovision and self.entity_type is None:
            raise ValueError("a group with autoprovision needs entity_type, the type of the entities it makes")
        return self


class DeviceEntry(Provisioned):
    """`[[device]]`: one device."""

    id: str = Field(min_length=1)
    entity_name: str | None = None
    device_name: str | None = None
    zone: str | None = None
    direction: str | None = None
    category: str | None = None


@dataclass(slots=True)
class Device:
    """A device as the mapping uses it, with everything that never changes worked out beforehand."""

    id: str
    context: str
    """URL of the @context its attribute names belong to."""
    entity_id: str
    entity_type: str
    names: dict[str, AttributeName | None]
    """Name of each field seen so far; None for one that is left out."""
    explicit: bool = False
    static: Mapping[str, orjson.Fragment] = field(default_factory=dict)
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    timezone: tzinfo = UTC
    about: Mapping[str, object] | None = None
    """The unchanging part of the entity about the device itself."""
    about_id: str = ""
    last_reported: str = ""
    """The newest time this process has reported for the device."""

    def name_of(self, measured: str) -> AttributeName | None:
        """Return the attribute name of a field, or None when it is left out; `WrongShape` for an impossible name.

        `id` and `type` become `measure_id` and `measure_type`, as with the FIWARE agents.
        """
        if measured in self.names:
            return self.names[measured]
        name = None if self.explicit else AttributeName(name=_attribute_name(measured))
        if len(self.names) < MAX_RULES_COUNT:
            self.names[measured] = name
        return name


def _attribute_name(measured: str) -> str:
    if measured in _CORE_MEMBERS:
        return f"measure_{measured}"
    if not measured or len(measured) > _MAX_NAME_LENGTH or not _NOT_IN_NAMES.isdisjoint(measured):
        raise WrongShape("a field has a name that no attribute can have")
    return measured
