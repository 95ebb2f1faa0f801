"""The devices the agent knows, from the device files.

A device is found by (profile, apikey, id): the same id under another profile or apikey is another device. A group with
`autoprovision` accepts devices that nobody has named.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson
from pydantic import Field

from agents.device import Device, DeviceEntry, GroupEntry, Provisioned, StaticAttribute
from agents.errors import ConfigurationError, UnknownDevice
from agents.profile import AttributeName, FileModel, Profile, parse_file

MAX_AUTOPROVISIONED_COUNT = 100_000
"""Devices remembered that groups accepted; the oldest is forgotten, and accepted again when it speaks."""

Given = TypeVar("Given")

_VALUE_MEMBER = {"Property": "value", "GeoProperty": "value", "Relationship": "object"}


class DeviceFile(FileModel):
    """One device file: a @context and what is named with its terms."""

    context: str = Field(pattern=r"^https?://\S+$")
    profiles: str | None = None
    """A folder of further profile files, relative to this file."""
    group: tuple[GroupEntry, ...] = ()
    device: tuple[DeviceEntry, ...] = ()


class Registry:
    """Finds the device of a message."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        self._profiles = profiles
        self._devices: dict[tuple[str, str, str], Device] = {}
        self._groups: dict[tuple[str, str], tuple[GroupEntry, str]] = {}
        self._accepted: dict[tuple[str, str, str], Device] = {}

    def find(self, profile: str, apikey: str, device: str) -> Device:
        """Return the device; `UnknownDevice` when it is neither provisioned nor accepted by a group."""
        key = (profile, apikey, device)
        found = self._devices.get(key) or self._accepted.get(key)
        return found or self._accept(key)

    def __len__(self) -> int:
        return len(self._devices)

    def profiles_in_use(self) -> frozenset[str]:
        """Names of the profiles that a device or a group has."""
        return frozenset(key[0] for key in (*self._devices, *self._groups))

    def _accept(self, key: tuple[str, str, str]) -> Device:
        profile, apikey, device = key
        group, context = self._groups.get((profile, apikey), (None, ""))
        if group is None:
            known = f"apikey {apikey} belongs to no group" if apikey else "it is not in the device file"
            raise UnknownDevice(f"device {device} is unknown: {known}")
        if not group.autoprovision:
            raise UnknownDevice(f"device {device} is unknown, and the group of apikey {apikey} accepts no new ones")
        entry = DeviceEntry(id=device, profile=profile, apikey=apikey)
        if len(self._accepted) >= MAX_AUTOPROVISIONED_COUNT:
            del self._accepted[next(iter(self._accepted))]
        self._accepted[key] = accepted = _device(entry, group, self._profiles[profile], context)
        return accepted

    def add(self, path: Path) -> None:
        """Take over a device file; `ConfigurationError` names file, key and rule."""
        content = parse_file(path, DeviceFile)
        for position, group in enumerate(content.group):
            where = f"{path}: group.{position}"
            self._require_profile(group, where)
            if (group.profile, group.apikey) in self._groups:
                raise ConfigurationError(f"{where}.apikey: {group.apikey!r} stands there twice")
            self._groups[group.profile, group.apikey] = (group, content.context)
        for position, entry in enumerate(content.device):
            self._add_device(entry, content.context, f"{path}: device.{position} ({entry.id})")

    def _add_device(self, entry: DeviceEntry, context: str, where: str) -> None:
        profile = self._require_profile(entry, where)
        key = (entry.profile, entry.apikey, entry.id)
        if key in self._devices:
            raise ConfigurationError(f"{where}.id: stands there twice")
        group, _ = self._groups.get(key[:2], (None, ""))
        device = _device(entry, group, profile, context)
        if missing := profile.settings() - device.settings.keys():
            raise ConfigurationError(f"{where}: profile {profile.name} needs {', '.join(sorted(missing))}")
        if not profile.entities and not device.entity_type:
            raise ConfigurationError(f"{where}.entity_type: is missing, here and in the group")
        self._devices[key] = device

    def _require_profile(self, entry: Provisioned, where: str) -> Profile:
        try:
            return self._profiles[entry.profile]
        except KeyError:
            known = ", ".join(sorted(self._profiles))
            raise ConfigurationError(f"{where}.profile: {entry.profile!r} does not exist; there are {known}") from None


def load_registry(paths: Iterable[Path], profiles: Mapping[str, Profile]) -> Registry:
    """Return the registry of these device files; `ConfigurationError` names file, key and rule."""
    registry = Registry(profiles)
    for path in paths:
        registry.add(path)
    return registry


def profile_folders(paths: Iterable[Path]) -> list[Path]:
    """Return the folders of further profiles that the device files name."""
    named = ((path, parse_file(path, DeviceFile).profiles) for path in paths)
    folders = [path.parent / folder for path, folder in named if folder is not None]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError(f"profiles: {folder} is not a folder")
    return folders


def _device(entry: DeviceEntry, group: GroupEntry | None, profile: Profile, context: str) -> Device:
    layers: tuple[Provisioned, ...] = (group, entry) if group is not None else (entry,)
    entity_type = _last(layer.entity_type for layer in layers) or ""
    device_type = _last(layer.device_type for layer in layers)
    about_id = _urn(entry.device_name, device_type, entry.id) if device_type else ""
    entity_id = _urn(entry.entity_name, entity_type, entry.id)
    own = {"device": entry.id, "entity": about_id, "zone": entry.zone}
    own |= {"direction": entry.direction, "category": entry.category}
    settings = {name: value for layer in layers for name, value in layer.settings.items()}
    settings |= {name: value for name, value in own.items() if value}
    renames: dict[str, AttributeName | None] = dict(profile.attributes)
    for layer in layers:
        renames |= layer.attributes
    static = {name: value for layer in layers for name, value in layer.static.items()}
    device = Device(
        id=entry.id,
        context=context,
        entity_id=entity_id,
        entity_type=entity_type,
        names=renames,
        explicit=bool(_last(layer.explicit for layer in layers)),
        static={name: _static(attribute) for name, attribute in static.items()},
        settings=settings,
        timezone=ZoneInfo(_last(layer.timezone for layer in layers) or "UTC"),
        about_id=about_id,
    )
    if device_type:
        interval = _last(layer.expected_interval_s for layer in layers)
        device.about = _about(about_id, device_type, entry.zone, interval)
    return device


def _about(about_id: str, device_type: str, zone: str | None, interval_s: int | float | None) -> dict[str, object]:
    about: dict[str, object] = {"id": about_id, "type": device_type}
    if zone is not None:
        about["zone"] = _static(StaticAttribute(kind="Relationship", value=zone))
    if interval_s is not None:
        about["expectedInterval"] = _static(StaticAttribute(value=interval_s, unit="SEC"))
    return about


def _static(attribute: StaticAttribute) -> orjson.Fragment:
    instance = {"type": attribute.kind, _VALUE_MEMBER[attribute.kind]: attribute.value}
    if attribute.unit is not None:
        instance["unitCode"] = attribute.unit
    return orjson.Fragment(orjson.dumps(instance))


def _urn(name: str | None, type_: str, device: str) -> str:
    return name or f"urn:ngsi-ld:{type_}:{quote(device, safe='-._~:')}"


def _last(values: Iterable[Given | None]) -> Given | None:
    return next((value for value in reversed(list(values)) if value is not None), None)
