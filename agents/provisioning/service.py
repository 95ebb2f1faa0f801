"""What the provisioning API does: checks, stores, and lets this agent know at once (the others follow the store)."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import orjson

from agents.commands.base import Commands
from agents.device import settings_of
from agents.errors import InvalidExpression, StoreUnavailable, WrongShape
from agents.names import require_name
from agents.provisioning.bodies import DeviceBody, GroupBody, checked
from agents.provisioning.commanded import provisioned_spec
from agents.provisioning.directory import Directory
from agents.provisioning.errors import (
    BadExpression,
    BadRequest,
    DeviceGroupNotFound,
    DeviceNotFound,
    DuplicateDeviceId,
    DuplicateGroup,
    MismatchedService,
    MissingAttributes,
    MissingConfigParams,
    RegistryNotAvailable,
    WrongSyntax,
)
from agents.provisioning.scope import Scope
from agents.provisioning.showing import Json, shown_device, shown_group
from agents.provisioning.specs import Group, names_of, profiles_of
from agents.registry import Registry
from agents.specification import DeviceSpec
from agents.storage.base import Change, Identity, Record

Answer = TypeVar("Answer")

_ATTEMPTS = 5
_SHOWN_AT_ONCE_COUNT = 100


class Provisioning:
    """Groups and devices. Every method raises ContractErrors; `RegistryNotAvailable` when MongoDB does not answer."""

    def __init__(self, directory: Directory, registry: Registry, commands: Commands) -> None:
        self._directory = directory
        self._registry = registry
        self._commands = commands
        self._profiles = registry.profiles

    async def create_groups(self, scope: Scope, bodies: Sequence[Json]) -> None:
        """Enter groups: all are checked before the first is entered."""
        records = [self._group_record(scope, body) for body in bodies]
        for record in records:
            await self._refuse_duplicate(record)
        for record in records:
            if not await _asked(self._directory.store.groups.insert(record)):
                raise _duplicate_group(record.identity)
            self._directory.apply(Change("groups", record.identity, record))
        self._commands.regrouped()

    def _group_record(self, scope: Scope, body: Json) -> Record:
        group = checked(GroupBody, body)
        if not group.entity_type:
            raise MissingConfigParams('The following mandatory configuration parameters were missing: ["type"]')
        identity = Identity(*scope, group.apikey, group.resource)
        self._check_group(Group(identity, group, self._profiles_of(group, group.resource), self._directory.place))
        return Record(identity, orjson.dumps(body).decode())

    def _check_group(self, group: Group) -> None:
        for profile in group.profiles:
            self._check(group.member(profile, "device"), is_whole=group.body.autoprovision)

    async def _refuse_duplicate(self, record: Record) -> None:
        identity = record.identity
        known = await self._group(identity.name, identity.apikey)
        group = checked(GroupBody, orjson.loads(record.body))
        in_file = any(
            self._registry.group_in_files(profile, identity.apikey)
            for profile in self._profiles_of(group, identity.name)
        )
        if known is not None or in_file:
            raise _duplicate_group(identity)

    async def groups(
        self, scope: Scope, resource: str | None, apikey: str | None, limit: int, offset: int
    ) -> tuple[int, list[Json]]:
        """Return how many groups there are, and those asked for."""
        count, records = await _asked(
            self._directory.store.groups.find(
                service=scope.service,
                servicepath=scope.path_or_all,
                apikey=apikey,
                name=resource,
                limit=limit,
                offset=offset,
            )
        )
        return count, [shown_group(record) for record in records]

    async def update_group(self, scope: Scope, resource: str, apikey: str, changes: Json) -> None:
        """Change members of a group, also its resource and apikey; the others stay."""
        for _ in range(_ATTEMPTS):
            former = await self._group_of(scope, resource, apikey)
            record = self._group_record(Scope(*former.identity[:2]), {**orjson.loads(former.body), **changes})
            if record.identity != former.identity:
                await self._refuse_duplicate(record)
            if await _asked(self._directory.store.groups.replace(former, record)):
                if record.identity != former.identity:
                    self._directory.apply(Change("groups", former.identity, None))
                self._directory.apply(Change("groups", record.identity, record))
                self._commands.regrouped()
                return
        raise RegistryNotAvailable("The group is being changed by others all the time")

    async def delete_group(self, scope: Scope, resource: str, apikey: str, *, with_devices: bool) -> None:
        """Remove a group, with the devices of its apikey if asked."""
        former = await self._group_of(scope, resource, apikey)
        if with_devices:
            _, devices = await _asked(
                self._directory.store.devices.find(service=scope[0], servicepath=scope[1], apikey=apikey)
            )
            for device in devices:
                await self._delete(device)
        await _asked(self._directory.store.groups.delete(former.identity))
        self._directory.apply(Change("groups", former.identity, None))
        self._commands.regrouped()

    async def _group_of(self, scope: Scope, resource: str, apikey: str) -> Record:
        found = await self._group(resource, apikey)
        if found is None:
            asked = orjson.dumps({"resource": resource, "apikey": apikey}).decode()
            raise DeviceGroupNotFound(
                f'Couldn\'t find device group for fields: ["resource","apikey"] and values: {asked}'
            )
        if found.identity[:2] != scope:
            raise MismatchedService("The declared service didn't match the stored one in the entity")
        return found

    async def _group(self, resource: str, apikey: str) -> Record | None:
        _, found = await _asked(self._directory.store.groups.find(apikey=apikey, name=resource, limit=1))
        return found[0] if found else None

    async def create_devices(self, scope: Scope, bodies: Sequence[Json]) -> None:
        """Enter devices: all are checked before the first is entered."""
        records = [self._device_record(scope, body) for body in bodies]
        for record in records:
            if not await _asked(self._directory.store.devices.insert(record)):
                raise _duplicate_device(record.identity)
            await self._changed(record)

    def _device_record(self, scope: Scope, body: Json) -> Record:
        if not body.get("device_id"):
            raise MissingAttributes('The request was not well formed:Missing attributes: ["device_id"]')
        device = checked(DeviceBody, body)
        identity = Identity(*scope, device.apikey, device.device_id)
        for profile in profiles_of(device.protocol, "", self._profiles):
            self._check(self._directory.spec_of(device, identity, profile))
        return Record(identity, orjson.dumps(body).decode())

    async def devices(self, scope: Scope, limit: int, offset: int) -> tuple[int, list[Json]]:
        """Return how many devices there are, and those asked for."""
        count, records = await _asked(
            self._directory.store.devices.find(
                service=scope.service, servicepath=scope.path_or_all, limit=limit, offset=offset
            )
        )
        shown = []
        for position, record in enumerate(records):
            if position % _SHOWN_AT_ONCE_COUNT == 0:
                await asyncio.sleep(0)  # a list may be long, and measures do not wait for it
            shown.append(shown_device(record, self._spec(record)))
        return count, shown

    async def device(self, scope: Scope, id_: str, apikey: str | None) -> Json:
        """Return one device."""
        record = await self._record(scope, id_, apikey)
        return shown_device(record, self._spec(record))

    async def update_device(self, scope: Scope, id_: str, apikey: str | None, changes: Json) -> None:
        """Change members of a device; the others stay."""
        if "device_id" in changes:
            raise BadRequest(
                "Request error connecting to the Context Broker: Can't change the ID of a preprovisioned device"
            )
        for _ in range(_ATTEMPTS):
            former = await self._record(scope, id_, apikey)
            record = self._device_record(Scope(*former.identity[:2]), {**orjson.loads(former.body), **changes})
            if await _asked(self._directory.store.devices.replace(former, record)):
                if record.identity != former.identity:
                    self._directory.apply(Change("devices", former.identity, None))
                await self._changed(record)
                return
            if record.identity != former.identity:
                raise _duplicate_device(record.identity)
        raise RegistryNotAvailable("The device is being changed by others all the time")

    async def delete_device(self, scope: Scope, id_: str, apikey: str | None) -> None:
        """Remove a device."""
        await self._delete(await self._record(scope, id_, apikey))

    async def delete_devices(self, scope: Scope, items: Sequence[Json]) -> None:
        """Remove devices; those that are there also when others are not, which is told then."""
        missing: DeviceNotFound | None = None
        for item in items:
            try:
                await self.delete_device(scope, str(item.get("deviceId", "")), item.get("apikey"))
            except DeviceNotFound as error:
                missing = missing or error
        if missing is not None:
            raise missing

    async def _record(self, scope: Scope, id_: str, apikey: str | None) -> Record:
        _, found = await _asked(
            self._directory.store.devices.find(
                service=scope.service, servicepath=scope.path_or_all, apikey=apikey or None, name=id_, limit=1
            )
        )
        if found:
            return found[0]
        asked = {"apikey": apikey, "service": scope.service, "subservice": scope.servicepath}
        told = orjson.dumps({name: value for name, value in asked.items() if value is not None}).decode()
        raise DeviceNotFound(f"No device was found with id:{id_} and {told}")

    async def _changed(self, record: Record) -> None:
        self._directory.apply(Change("devices", record.identity, record))
        await self._commands.provisioned(self._spec(record))

    async def _delete(self, record: Record) -> None:
        if await _asked(self._directory.store.devices.delete(record.identity)):
            spec = self._spec(record)
            self._directory.apply(Change("devices", record.identity, None))
            await self._commands.removed(spec)

    def _spec(self, record: Record) -> DeviceSpec:
        return provisioned_spec(record, self._directory)

    def _profiles_of(self, body: GroupBody, resource: str) -> tuple[str, ...]:
        return profiles_of(body.protocol, resource, self._profiles)

    def _check(self, spec: DeviceSpec, *, is_whole: bool = True) -> None:
        """Try what will be done with the first message, so that a mistake is told now.

        `is_whole`: it may speak as it is, so it must have the settings that the rules of its profile read.
        """
        try:
            for name, what in names_of(spec):
                require_name(name, what)
            self._registry.compiled(spec)
        except InvalidExpression as error:
            raise BadExpression(f"Invalid expression in evaluation: {error}") from None
        except WrongShape as error:
            raise WrongSyntax(f"Wrong syntax in request: {error}") from None
        profile = self._profiles[spec.profile]
        if profile.bears_identity and not self._registry.pseudonyms.are_lasting:
            said = f"the profile {spec.profile} tells about persons, and the operator has set no MEDINA_PSEUDONYM_KEY"
            raise WrongSyntax(f"Wrong syntax in request: protocol: {said}")
        missing = profile.settings() - settings_of(spec, spec.device_type or "").keys()
        if is_whole and missing:
            needed = ", ".join(sorted("device_type" if name == "entity" else name for name in missing))
            raise WrongSyntax(f"Wrong syntax in request: the profile {spec.profile} needs {needed}")


async def _asked(answer: Awaitable[Answer]) -> Answer:
    """Await the store; `RegistryNotAvailable` when it does not answer."""
    try:
        return await answer
    except StoreUnavailable as error:
        raise RegistryNotAvailable(f"No device registry is available: {error}") from error


def _duplicate_group(identity: Identity) -> DuplicateGroup:
    return DuplicateGroup(
        f"A device configuration already exists for resource {identity.name} and API Key {identity.apikey}"
    )


def _duplicate_device(identity: Identity) -> DuplicateDeviceId:
    return DuplicateDeviceId(
        f"A device with the same info (DeviceId, ApiKey, Service, Subservice) was found:{identity.name}"
    )
