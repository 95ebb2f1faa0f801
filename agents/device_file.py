"""Device files: devices and groups as a file names them. The keys are described in docs/integrators.md."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from agents.device import settings_of
from agents.errors import ConfigurationError
from agents.expressions import compile_expression
from agents.file_model import FileModel, parse_file
from agents.names import default_id
from agents.profile import Profile
from agents.profile_attributes import AttributeName, Kind, attribute_spec
from agents.registry import Key, Source
from agents.specification import (
    Chosen,
    DeviceSpec,
    GroupSpec,
    MappingSpec,
    ObjectId,
    Scalar,
    StaticSpec,
    Target,
)

FIWARE_PROFILE = "iotagent-json"

Given = TypeVar("Given")


def known_zone(name: str) -> str:
    """Return the name of a time zone; ValueError when there is none of that name."""
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


class ByField(FileModel):
    """`{object_id = …}` in `explicitAttrs`."""

    object_id: str


Explicit = bool | str | tuple[str | ByField, ...]


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
    explicit: Explicit | None = Field(default=None, alias="explicitAttrs")
    """Only fields named in `attributes` are taken (true), only some of them (names), or what an expression says."""
    expected_interval_s: int | float | None = Field(default=None, alias="expectedInterval", gt=0)
    timezone: Annotated[str, AfterValidator(known_zone)] | None = None
    """Zone of the wall times the device states without one (default UTC)."""
    settings: dict[str, Scalar] = Field(default_factory=dict)
    """Further values the profile's rules ask for."""


class GroupEntry(Provisioned):
    """`[[group]]`: the devices that share an apikey."""

    autoprovision: bool = False
    allow: tuple[str, ...] = ()
    """Patterns of the ids that `autoprovision` accepts; empty: any."""
    entity_name: str | None = Field(default=None, alias="entityNameExp")
    """Expression for the id of the devices' entities."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if not self.apikey and self.profile == FIWARE_PROFILE:
            raise ValueError("a group has an apikey; only those of a vendor's profile may be without")
        if self.entity_name is not None:
            compile_expression(self.entity_name)
        return self


class DeviceEntry(Provisioned):
    """`[[device]]`: one device."""

    id: str = Field(min_length=1)
    entity_name: str | None = None
    device_name: str | None = None
    zone: str | None = None
    direction: str | None = None
    category: str | None = None


class DeviceFile(FileModel):
    """One device file: a @context and what is named with its terms."""

    context: str = Field(pattern=r"^https?://\S+$")
    profiles: str | None = None
    """A folder of further profile files, relative to this file."""
    group: tuple[GroupEntry, ...] = ()
    device: tuple[DeviceEntry, ...] = ()


class DeviceFiles(Source):
    """The devices and groups of the device files of an agent."""

    def __init__(self, profiles: Mapping[str, Profile], tenant: str = "") -> None:
        self._profiles = profiles
        self._tenant = tenant
        self._devices: dict[tuple[str, str, str], DeviceSpec] = {}
        self._entries: dict[tuple[str, str], tuple[GroupEntry, Target]] = {}
        self._groups: dict[tuple[str, str], GroupSpec] = {}

    def named(self, key: Key) -> DeviceSpec | None:
        """See Source."""
        return self._devices.get((key.profile, key.apikey, key.device))

    def group(self, profile: str, apikey: str, resource: str = "") -> GroupSpec | None:
        """See Source."""
        return None if resource else self._groups.get((profile, apikey))

    def joined(self, spec: DeviceSpec) -> None:
        """See Source: files are not written."""

    def __len__(self) -> int:
        return len(self._devices)

    def specs(self) -> Iterable[DeviceSpec]:
        """The devices that are named."""
        return self._devices.values()

    def profiles_in_use(self) -> frozenset[str]:
        """Names of the profiles that a device or a group has."""
        return frozenset(key[0] for key in (*self._devices, *self._groups))

    def add(self, path: Path) -> None:
        """Take over a device file; `ConfigurationError` names file, key and rule."""
        content = parse_file(path, DeviceFile)
        target = Target(self._tenant, content.context)
        for position, group in enumerate(content.group):
            self._add_group(group, target, f"{path}: group.{position}")
        for position, entry in enumerate(content.device):
            self._add_device(entry, target, f"{path}: device.{position} ({entry.id})")

    def _add_group(self, entry: GroupEntry, target: Target, where: str) -> None:
        profile = self._require_profile(entry, where)
        key = (entry.profile, entry.apikey)
        if key in self._groups:
            raise ConfigurationError(f"{where}.apikey: {entry.apikey!r} stands there twice")
        if entry.autoprovision:
            self._require_settings(_member(entry, profile, target, "any"), profile, where)
            if entry.entity_type is None and not profile.entities:
                raise ConfigurationError(
                    f"{where}: a group with autoprovision needs entity_type, the type of the entities it makes"
                )
        self._entries[key] = (entry, target)
        self._groups[key] = GroupSpec(
            profile=entry.profile,
            apikey=entry.apikey,
            resource="",
            service="",
            servicepath="",
            member=partial(_member, entry, profile, target),
            autoprovision=entry.autoprovision,
            allow=entry.allow,
        )

    def _add_device(self, entry: DeviceEntry, target: Target, where: str) -> None:
        profile = self._require_profile(entry, where)
        key = (entry.profile, entry.apikey, entry.id)
        if key in self._devices:
            raise ConfigurationError(f"{where}.id: stands there twice")
        group, _ = self._entries.get(key[:2], (None, target))
        spec = _device(entry, group, profile, target)
        self._require_settings(spec, profile, where)
        if not profile.entities and not spec.entity_type:
            raise ConfigurationError(f"{where}.entity_type: is missing, here and in the group")
        self._devices[key] = spec

    @staticmethod
    def _require_settings(spec: DeviceSpec, profile: Profile, where: str) -> None:
        if missing := profile.settings() - settings_of(spec, spec.device_type or "").keys():
            raise ConfigurationError(f"{where}: profile {profile.name} needs {', '.join(sorted(missing))}")

    def _require_profile(self, entry: Provisioned, where: str) -> Profile:
        try:
            return self._profiles[entry.profile]
        except KeyError:
            known = ", ".join(sorted(self._profiles))
            raise ConfigurationError(f"{where}.profile: {entry.profile!r} does not exist; there are {known}") from None


def load_device_files(paths: Iterable[Path], profiles: Mapping[str, Profile], tenant: str = "") -> DeviceFiles:
    """Return the devices of these files; `ConfigurationError` names file, key and rule."""
    files = DeviceFiles(profiles, tenant)
    for path in paths:
        files.add(path)
    return files


def profile_folders(paths: Iterable[Path]) -> list[Path]:
    """Return the folders of further profiles that the device files name."""
    named = ((path, parse_file(path, DeviceFile).profiles) for path in paths)
    folders = [path.parent / folder for path, folder in named if folder is not None]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError(f"profiles: {folder} is not a folder")
    return folders


def _member(group: GroupEntry, profile: Profile, target: Target, device: str) -> DeviceSpec:
    return _device(DeviceEntry(id=device, profile=profile.name, apikey=group.apikey), group, profile, target)


def _device(entry: DeviceEntry, group: GroupEntry | None, profile: Profile, target: Target) -> DeviceSpec:
    layers: tuple[Provisioned, ...] = (group, entry) if group is not None else (entry,)
    entity_type = _last(layer.entity_type for layer in layers) or ""
    own = {"direction": entry.direction, "category": entry.category}
    settings = {name: value for layer in layers for name, value in layer.settings.items()}
    return DeviceSpec(
        id=entry.id,
        profile=entry.profile,
        apikey=entry.apikey,
        target=target,
        entity_id=entry.entity_name or default_id(entity_type, entry.id),
        entity_type=entity_type,
        mapping=_mapping(layers, profile, group),
        timezone=_last(layer.timezone for layer in layers) or "UTC",
        settings=settings | {name: value for name, value in own.items() if value},
        device_type=_last(layer.device_type for layer in layers),
        device_name=entry.device_name,
        zone=entry.zone,
        expected_interval_s=_last(layer.expected_interval_s for layer in layers) or profile.liveness.interval_s,
    )


def _mapping(layers: Iterable[Provisioned], profile: Profile, group: GroupEntry | None) -> MappingSpec:
    names: dict[str, AttributeName] = dict(profile.attributes)
    statics: dict[str, StaticAttribute] = {}
    explicit: Explicit = False
    for layer in layers:
        names |= layer.attributes
        statics |= layer.static
        explicit = explicit if layer.explicit is None else layer.explicit
    return MappingSpec(
        attributes=tuple(attribute_spec(field, name) for field, name in names.items()),
        statics=tuple(StaticSpec(name, it.value, it.kind, it.unit) for name, it in statics.items()),
        explicit=_chosen(explicit) if isinstance(explicit, tuple) else explicit,
        entity_name=None if group is None else group.entity_name,
    )


def _chosen(items: tuple[str | ByField, ...]) -> Chosen:
    return tuple(ObjectId(item.object_id) if isinstance(item, ByField) else item for item in items)


def _last(values: Iterable[Given | None]) -> Given | None:
    return next((value for value in reversed(list(values)) if value is not None), None)
