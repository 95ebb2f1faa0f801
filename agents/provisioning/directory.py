"""The provisioned groups and devices in memory, as the registry asks for them; kept up to date by the store.

What another agent changes is here within a second. Where that is too late (a device that was provisioned elsewhere
and speaks at once), `look_up` asks the store before a device is called unknown.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import NamedTuple

import orjson
import structlog

from agents.errors import ContractError, StoreUnavailable, UnknownDevice
from agents.profile import Profile
from agents.provisioning.bodies import DeviceBody, GroupBody, checked
from agents.provisioning.specs import ROUTES, Group, Place, device_spec, profiles_of
from agents.registry import Key, Source
from agents.specification import DeviceSpec, GroupSpec
from agents.storage.base import Change, Identity, ProvisioningStore, Record, Snapshot

log = structlog.get_logger(__name__)

ASK_AGAIN_S = 1.0
"""For so long a device the store does not have is unknown without asking again."""
ENROL_WITHIN_S = 1.0
"""How long an acknowledgement waits for the entry of new devices; then they are entered with the next batch."""
MAX_UNKNOWN_COUNT = 10_000
MAX_DEVICES_COUNT = 200_000
"""Groups accept no new devices beyond that."""


class Stored(NamedTuple):
    """A device as it lies in memory: parsed when it speaks."""

    identity: Identity
    body: bytes


class Directory(Source):
    """See the module."""

    def __init__(self, store: ProvisioningStore, profiles: Mapping[str, Profile], place: Place) -> None:
        self.store = store
        self.place = place
        self._profiles = profiles
        self.on_change: Callable[[str, str], None] = lambda apikey, device: None
        """Called with the apikey and id of a device that has changed; with "" when many may have."""
        self.on_joined: Callable[[DeviceSpec], None] = lambda spec: None
        """Called when a group has accepted a device."""
        self._groups: dict[str, dict[str, Group]] = {}
        self._devices: dict[tuple[str, str], list[Stored]] = {}
        self._unknown: dict[tuple[str, str], float] = {}
        self._joining: dict[Identity, Record] = {}
        self.is_loaded = asyncio.Event()
        """Everything has been read once."""

    def __len__(self) -> int:
        return sum(map(len, self._devices.values()))

    def named(self, key: Key) -> DeviceSpec | None:
        """See Source. A device without an apikey is one of every group of its service and path.

        Where there is no group, it has the agent's default apikey; vendors' topics name none.
        """
        group = self._group(key.profile, key.apikey, key.resource)
        found = [*self._devices.get((key.apikey, key.device), ()), *self._devices.get(("", key.device), ())]
        if group is not None:
            place = group.identity[:2]
            found = [stored for stored in found if stored.identity[:2] == place]
        elif key.apikey:
            found = [stored for stored in found if stored.identity.apikey or self._has_default(stored, key)]
        for stored in found:
            body = DeviceBody.model_validate(orjson.loads(stored.body))
            if group is not None or self._stands_alone(body, key):
                return device_spec(body, stored.identity, group, key.profile, self.place)
        return None

    def spec_of(self, body: DeviceBody, identity: Identity, profile: str) -> DeviceSpec:
        """Return what a device would be, with what its group says now."""
        group = self._group(profile, identity.apikey, "")
        if group is not None and group.identity[:2] != identity[:2]:
            group = None
        return device_spec(body, identity, group, profile, self.place)

    def _stands_alone(self, body: DeviceBody, key: Key) -> bool:
        """Whether a device may speak the protocol without a group; if it does not say which, it is its group's."""
        if body.autoprovisioned or (not body.protocol and self._groups.get(key.apikey)):
            return False
        if not key.apikey and key.profile in ROUTES.values():
            return False
        return key.profile in profiles_of(body.protocol, "", self._profiles)

    def _has_default(self, stored: Stored, key: Key) -> bool:
        """Whether a device without an apikey has the default one: no group of its service and path gives it another."""
        if key.apikey != self.place.default_apikey:
            return False
        return self.group_at(stored.identity.service, stored.identity.servicepath, None) is None

    def group(self, profile: str, apikey: str, resource: str = "") -> GroupSpec | None:
        """See Source."""
        group = self._group(profile, apikey, resource)
        return None if group is None else group.spec(profile)

    def _group(self, profile: str, apikey: str, resource: str) -> Group | None:
        """The group of the resource; without one, that of the protocol's own route, else the first there is."""
        groups = self._groups.get(apikey)
        if groups is None:
            return None
        if resource:
            found = groups.get(resource)
            return found if found is not None and profile in found.profiles else None
        fitting = [group for group in groups.values() if profile in group.profiles]
        return min(fitting, key=_by_resource, default=None)

    def group_at(self, service: str, servicepath: str, entity_type: str | None) -> Group | None:
        """The group of a service and path, preferably of that entity type, for a device without an apikey."""
        here = [
            group
            for groups in self._groups.values()
            for group in groups.values()
            if group.identity[:2] == (service, servicepath)
        ]
        return next((group for group in here if group.body.entity_type == entity_type), here[0] if here else None)

    def protocols(self, body: DeviceBody, identity: Identity) -> tuple[str, ...]:
        """Return the profiles that a device may speak: by what it says, among those of the groups of its apikey.

        A group's outweigh the device's own word, which means nothing to the FIWARE agents.
        """
        said = profiles_of(body.protocol, "", self._profiles)
        groups = [it for it in self._groups.get(identity.apikey, {}).values() if it.identity[:2] == identity[:2]]
        spoken = tuple(dict.fromkeys(profile for group in groups for profile in group.profiles))
        return tuple(profile for profile in said if profile in spoken) or spoken or said

    def is_resource(self, resource: str) -> bool:
        """Whether any group has this route."""
        return any(resource in groups for groups in self._groups.values())

    def profiles_at(self, resource: str, apikey: str) -> tuple[str, ...]:
        """The protocols of the group with this route and apikey; none when there is no such group."""
        group = self._groups.get(apikey, {}).get(resource)
        return () if group is None else group.profiles

    async def follow(self) -> None:
        """Keep up with the store; for ever."""
        await self.store.follow(self._load, self.apply)

    def _load(self, snapshot: Snapshot) -> None:
        self._groups.clear()
        self._devices.clear()
        self._enter(snapshot)
        self.is_loaded.set()
        self.on_change("", "")
        log.info("provisioned devices read", groups=len(snapshot.groups), devices=len(snapshot.devices))

    def _enter(self, snapshot: Snapshot) -> None:
        for record in snapshot.groups:
            self._put_group(record)
        for record in snapshot.devices:
            self._put_device(record)

    def apply(self, change: Change) -> None:
        """Take over a change, by this agent or another."""
        if change.shelf == "groups":
            self._groups.get(change.identity.apikey, {}).pop(change.identity.name, None)
            if change.record is not None:
                self._put_group(change.record)
            self._unknown.clear()
            self.on_change("", "")
            return
        before = self._drop_device(change.identity)
        if change.record is not None:
            self._put_device(change.record)
            self._unknown.clear()
        if before is None or change.record is None or before.body != change.record.body.encode():
            self.on_change(change.identity.apikey, change.identity.name)

    def _put_group(self, record: Record) -> None:
        try:
            body = checked(GroupBody, orjson.loads(record.body))
        except ContractError as error:  # written by a later version
            log.warning("a provisioned group cannot be read", identity=record.identity, why=str(error))
            return
        profiles = profiles_of(body.protocol, record.identity.name, self._profiles)
        group = Group(record.identity, body, profiles, self.place)
        self._groups.setdefault(record.identity.apikey, {})[record.identity.name] = group

    def _put_device(self, record: Record) -> None:
        key = (record.identity.apikey, record.identity.name)
        self._drop_device(record.identity)
        self._devices.setdefault(key, []).append(Stored(record.identity, record.body.encode()))

    def _drop_device(self, identity: Identity) -> Stored | None:
        key = (identity.apikey, identity.name)
        stored = self._devices.get(key, [])
        for position, known in enumerate(stored):
            if known.identity == identity:
                del stored[position]
                if not stored:
                    del self._devices[key]
                return known
        return None

    async def look_up(self, keys: Iterable[tuple[str, str]]) -> bool:
        """Ask the store for devices that are unknown here: True if any may be known now. Never raises."""
        now = monotonic()
        asked = [key for key in set(keys) if self._unknown.get(key, 0) < now]
        if not asked:
            return False
        try:
            found = await self.store.look_up(asked)
        except StoreUnavailable:
            found = None
        if len(self._unknown) > MAX_UNKNOWN_COUNT:
            self._unknown.clear()
        self._unknown.update(dict.fromkeys(asked, monotonic() + ASK_AGAIN_S))
        if found is None:
            return True  # a group may accept them all the same
        if not self._is_known(found):
            self._enter(found)
            self.on_change("", "")
        return bool(found.groups or found.devices)  # known by now, be it by the store's news in the meantime

    def _is_known(self, found: Snapshot) -> bool:
        groups = all(record.identity.name in self._groups.get(record.identity.apikey, {}) for record in found.groups)
        return groups and all(
            any(stored.identity == identity for stored in self._devices.get((identity.apikey, identity.name), ()))
            for identity in (record.identity for record in found.devices)
        )

    def joined(self, spec: DeviceSpec) -> None:
        """See Source: `enrol` enters it in the store.

        Not before the store was asked (`look_up`): another agent may have provisioned it a moment ago.
        """
        if self._unknown.get((spec.apikey, spec.id), 0) < monotonic():
            raise UnknownDevice(f"device {spec.id} is unknown, and nobody was asked yet", spec.apikey, spec.id)
        if len(self) + len(self._joining) >= MAX_DEVICES_COUNT:
            raise UnknownDevice(
                f"device {spec.id} is unknown, and there are too many to accept more", spec.apikey, spec.id
            )
        identity = Identity(spec.service, spec.servicepath, spec.apikey, spec.id)
        body = {"device_id": spec.id, "apikey": spec.apikey, "entity_type": spec.entity_type, "autoprovisioned": True}
        self._joining[identity] = Record(identity, orjson.dumps(body).decode())
        self.on_joined(spec)

    def stored(self) -> list[Stored]:
        """All devices."""
        return [device for devices in self._devices.values() for device in devices]

    def has_commands(self) -> bool:
        """Whether any group has commands."""
        return any(group.body.commands for groups in self._groups.values() for group in groups.values())

    async def enrol(self) -> None:
        """Enter the devices that have joined. Never raises: those that cannot be entered now wait for the next call."""
        if not self._joining:
            return
        try:
            async with asyncio.timeout(ENROL_WITHIN_S):
                entered = list(self._joining.items())
                new = await self.store.devices.insert_new([record for _, record in entered])
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("devices that joined are not entered yet", count=len(self._joining), why=str(error))
            return
        for identity, _ in entered:
            self._joining.pop(identity, None)
        for record in new:
            self._put_device(record)
        if len(new) < len(entered):
            await self._correct([identity for identity, _ in entered])

    async def _correct(self, identities: Iterable[Identity]) -> None:
        """Take devices as the store has them, as far as it answers: some are not as they have joined here."""
        with contextlib.suppress(StoreUnavailable):
            found = await self.store.look_up([(identity.apikey, identity.name) for identity in identities])
            for record in found.devices:
                self.apply(Change("devices", record.identity, record))


def _by_resource(group: Group) -> tuple[bool, bool, str]:
    resource = group.identity.name
    return (resource != "" and resource not in ROUTES, resource not in ROUTES, resource)
