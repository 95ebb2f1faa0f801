"""The devices the agent knows: found in memory, so that no message waits for a database.

A device is found by its key: the same id under another profile or apikey is another device. Sources (the device files,
the provisioned registry) say what is known; the registry compiles it once, at a device's first message. A group with
`autoprovision` accepts devices that nobody has named.
"""

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple

from agents.device import Device, MappingOf, device_of
from agents.entities import compile_mapping
from agents.errors import UnknownDevice, UnknownGroup
from agents.normalisation import Norms, norms_of
from agents.profile import Profile
from agents.profile_attributes import attribute_spec
from agents.pseudonyms import Pseudonyms
from agents.specification import DeviceSpec, GroupSpec, MappingSpec

MAX_DEVICES_COUNT = 100_000
"""Devices remembered in their compiled form; the oldest is forgotten, and compiled again when it speaks."""


class Key(NamedTuple):
    """What a message says of its sender. `resource` is the path it came by, where that is not the protocol's own."""

    profile: str
    apikey: str
    device: str
    resource: str = ""


class Source(ABC):
    """Something that knows devices and groups, in memory: its answers are those of this moment."""

    @abstractmethod
    def named(self, key: Key) -> DeviceSpec | None:
        """The device that was named by somebody, with everything its group says; None when nobody has."""

    @abstractmethod
    def group(self, profile: str, apikey: str, resource: str = "") -> GroupSpec | None:
        """The group of an apikey; None when there is none."""

    @abstractmethod
    def joined(self, spec: DeviceSpec) -> None:
        """Learn that a group of this source has accepted a device; `UnknownDevice` when no more can be."""


class _Onlooker(Source):
    """What several sources know; that a device would join is nobody's affair."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def named(self, key: Key) -> DeviceSpec | None:
        """See Source."""
        return next((spec for source in self._sources if (spec := source.named(key)) is not None), None)

    def group(self, profile: str, apikey: str, resource: str = "") -> GroupSpec | None:
        """See Source."""
        found = (source.group(profile, apikey, resource) for source in self._sources)
        return next((group for group in found if group is not None), None)

    def joined(self, spec: DeviceSpec) -> None:
        """See Source: nobody joins."""


class Registry:
    """Finds the device of a message."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        sources: Sequence[Source],
        pseudonyms: Pseudonyms,
        *,
        autoprovision: bool = True,
    ) -> None:
        self.profiles = profiles
        self._sources = tuple(sources)
        self.pseudonyms = pseudonyms
        self._autoprovision = autoprovision
        self._compiled: dict[tuple[str, ...], Device] = {}
        self._mappings: dict[tuple[str, str], tuple[MappingSpec, MappingOf, Norms]] = {}
        self._resources = {""}
        """Those that messages came by."""

    def find(self, profile: str, apikey: str, device: str, resource: str = "") -> Device:
        """Return the device; `UnknownDevice` when it is neither named nor accepted by a group."""
        found = self._compiled.get((profile, apikey, device, resource))
        return found or self._look_up(Key(profile, apikey, device, resource))

    def devices(self) -> list[Device]:
        """Those that have spoken to this agent."""
        return list(self._compiled.values())

    def forget(self, apikey: str = "", device: str = "") -> None:
        """Work out a device anew, or (no apikey) every device: what the sources say has changed."""
        if not apikey:
            self._compiled.clear()
            self._mappings.clear()
            return
        for profile in self.profiles:
            for resource in self._resources:
                self._compiled.pop((profile, apikey, device, resource), None)

    def names(self, profile: str, apikey: str, device: str) -> bool:
        """Whether somebody has named the device."""
        key = Key(profile, apikey, device)
        return any(source.named(key) is not None for source in self._sources)

    def knows(self, profile: str, apikey: str, device: str) -> bool:
        """Whether the device is named or has a group, which is not yet to say that the group accepts it."""
        key = Key(profile, apikey, device)
        return key in self._compiled or any(
            source.named(key) is not None or source.group(profile, apikey) is not None for source in self._sources
        )

    def group_in_files(self, profile: str, apikey: str) -> bool:
        """Whether the first source, the device files, has a group of the apikey."""
        return self._sources[0].group(profile, apikey) is not None

    def without_joining(self) -> Source:
        """Return what is known, for somebody who only looks."""
        return _Onlooker(self._sources)

    def _look_up(self, key: Key) -> Device:
        spec = next((spec for source in self._sources if (spec := source.named(key)) is not None), None)
        if spec is None:
            spec = self._accepted(key)
        if len(self._compiled) >= MAX_DEVICES_COUNT:
            del self._compiled[next(iter(self._compiled))]
        self._resources.add(key.resource)
        self._compiled[key] = device = self.compiled(spec)
        return device

    def compiled(self, spec: DeviceSpec) -> Device:
        """Return the device of a specification; `InvalidExpression` or `WrongShape` when it cannot be one."""
        mapping_key = (spec.profile, spec.mapping.key)
        interval_s = self.profiles[spec.profile].liveness.interval_s
        if spec.device_type and spec.expected_interval_s is None and interval_s is not None:
            spec = dataclasses.replace(spec, expected_interval_s=interval_s)
        known = self._mappings.get(mapping_key)
        if known is None:
            profile = self.profiles[spec.profile]
            complete = completed(spec.mapping, profile)
            known = spec.mapping, compile_mapping(complete, profile, self.pseudonyms), norms_of(complete, profile)
            self._mappings[mapping_key] = known
        mapping, compiled, norms = known
        # The members of a group come with a copy each of what they have in common: two kilobytes for ten attributes.
        spec = dataclasses.replace(spec, mapping=mapping)
        return device_of(spec, compiled, norms, takes_anything=self.profiles[spec.profile].explicit)

    def _accepted(self, key: Key) -> DeviceSpec:
        profile, apikey, device, resource = key
        found = ((source, source.group(profile, apikey, resource)) for source in self._sources)
        source, group = next(((source, group) for source, group in found if group is not None), (None, None))
        if source is None or group is None:
            known = f"apikey {apikey} belongs to no group of {profile}" if apikey else "it is not in the device file"
            raise UnknownGroup(f"device {device} is unknown: {known}", apikey, device)
        if not (group.autoprovision and self._autoprovision):
            said = f"device {device} is unknown, and {_named(apikey)} accepts no new ones"
            raise UnknownDevice(said, apikey, device)
        if group.allow and not any(_pattern(allowed).match(device) for allowed in group.allow):
            said = f"device {device} is unknown, and {_named(apikey)} does not accept such ids"
            raise UnknownDevice(said, apikey, device)
        spec = group.member(device)
        source.joined(spec)
        return spec


def completed(spec: MappingSpec, profile: Profile) -> MappingSpec:
    """Return the mapping with the profile's names for the fields that it says nothing of, and its `explicitAttrs`."""
    named = {attribute.field for attribute in spec.attributes}
    further = [attribute_spec(field, name) for field, name in profile.attributes.items() if field not in named]
    explicit = spec.explicit or profile.explicit
    if not further and explicit == spec.explicit:
        return spec
    return dataclasses.replace(spec, attributes=(*further, *spec.attributes), explicit=explicit)


def _named(apikey: str) -> str:
    return f"the group of apikey {apikey}" if apikey else "the group of its profile"


@lru_cache(maxsize=1000)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text))
