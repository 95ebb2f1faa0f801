"""Provisioned devices as specifications, looked up by their records and not by a message; those with commands."""

import asyncio
from collections.abc import AsyncIterator

import orjson

from agents.errors import ContractError
from agents.provisioning.bodies import DeviceBody, checked
from agents.provisioning.directory import Directory
from agents.provisioning.specs import device_spec
from agents.registry import Key
from agents.specification import DeviceSpec
from agents.storage.base import Record

AT_ONCE_COUNT = 100
_HAS_COMMANDS = b'"commands"'


def provisioned_spec(record: Record, directory: Directory) -> DeviceSpec:
    """Return the device as its messages meet it: with what its group says, as far as there is one."""
    body = checked(DeviceBody, orjson.loads(record.body))
    possible = directory.protocols(body, record.identity)
    for profile in possible:
        found = directory.named(Key(profile, record.identity.apikey, record.identity.name))
        if found is not None and (found.service, found.servicepath) == record.identity[:2]:
            return found
    group = directory.group_at(record.identity.service, record.identity.servicepath, body.entity_type)
    spoken = possible if group is None else group.profiles
    profile = next((it for it in possible if it in spoken), spoken[0])
    return device_spec(body, record.identity, group, profile, directory.place)


async def commanded(directory: Directory, *, every: bool) -> AsyncIterator[DeviceSpec]:
    """Give the devices that may have commands: those whose body, or any group, speaks of some; or `every` one."""
    any_group = every or directory.has_commands()
    for position, stored in enumerate(directory.stored()):
        if position % AT_ONCE_COUNT == 0:
            await asyncio.sleep(0)  # there may be many, and measures do not wait for it
        if any_group or _HAS_COMMANDS in stored.body:
            try:
                spec = provisioned_spec(Record(stored.identity, stored.body.decode()), directory)
            except ContractError:
                continue  # written by a later version
            yield spec
