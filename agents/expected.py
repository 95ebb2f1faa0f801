"""Devices that should speak at intervals, whether they have ever spoken or not: those that are named or provisioned.

An agent watches those of the slots it holds, so that one agent watches a device that nobody hears.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache

import orjson

from agents.device import Device
from agents.provisioning.bodies import DeviceBody
from agents.provisioning.directory import Directory, Stored
from agents.provisioning.specs import profiles_of
from agents.registry import Key, Registry
from agents.slots import slot_of
from agents.specification import DeviceSpec

READ_AT_ONCE_COUNT = 100
"""Provisioned devices that are parsed in one go: they lie in memory as text."""


class Expected:
    """The devices one agent expects to hear."""

    def __init__(
        self,
        named: Iterable[DeviceSpec],
        directory: Directory | None,
        registry: Registry,
        slots: Callable[[], frozenset[int]],
        slot_count: int,
    ) -> None:
        """`named`: the devices of files; `slots`: those the agent holds at the moment."""
        self._named = [Key(spec.profile, spec.apikey, spec.id) for spec in named if _should_speak(spec)]
        self._directory = directory
        self._registry = registry
        self._slots = slots
        self._slot_count = slot_count
        self._position = 0
        """Of the provisioned ones: how far they have been looked at."""

    def __call__(self) -> Iterator[Device]:
        """Give those of the files, and some of the provisioned ones: the next ones with each call."""
        held = self._slots()
        for key in (*self._named, *self._provisioned()):
            if slot_of(f"{key.apikey}/{key.device}", self._slot_count) in held:
                device = self._registry.find(key.profile, key.apikey, key.device)
                if device.spec.expected_interval_s is not None:
                    yield device

    def _provisioned(self) -> Iterator[Key]:
        if self._directory is None:
            return
        stored = self._directory.stored()
        typed = cache(self._has_typed_group)
        start, self._position, left = self._position, 0, READ_AT_ONCE_COUNT
        for position in range(start, len(stored)):
            device = stored[position]
            if b"device_type" not in device.body and not typed(device.identity.apikey):
                continue
            if not left:
                self._position = position
                return
            left -= 1
            if (key := self._key_of(device)) is not None:
                yield key

    def _has_typed_group(self, apikey: str) -> bool:
        assert self._directory is not None
        groups = (self._directory.group(profile, apikey) for profile in self._registry.profiles)
        return any(group is not None and group.member("any").device_type for group in groups)

    def _key_of(self, device: Stored) -> Key | None:
        assert self._directory is not None
        body = DeviceBody.model_validate(orjson.loads(device.body))
        spoken = profiles_of(body.protocol, "", self._registry.profiles)
        keys = [Key(profile, device.identity.apikey, device.identity.name) for profile in spoken]
        return next((key for key in keys if (spec := self._directory.named(key)) and spec.device_type), None)


def _should_speak(spec: DeviceSpec) -> bool:
    return bool(spec.device_type) and spec.expected_interval_s is not None
