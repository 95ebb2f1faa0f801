"""What the context broker must have so that commands come: attributes on the entities, subscriptions to them.

One subscription for all entities of a type, however many devices: it watches the commands of all of them. Its id is
made of what it is about, so that every agent finds the same one.
"""

import asyncio
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from urllib.parse import urlencode

import orjson
import structlog

from agents.commands.command import INFO, STATUS, Line
from agents.commands.context_broker import ContextBroker
from agents.commands.store import Commandable, CommandStore, Kind, Subscribed
from agents.errors import BrokerUnavailable, StoreUnavailable
from agents.specification import DeviceSpec, Target

log = structlog.get_logger(__name__)

MADE_AT_ONCE_COUNT = 100


def line_of(spec: DeviceSpec) -> Line:
    """Return the line that a device's commands stand in."""
    return Line(spec.profile, spec.apikey, spec.id)


def commandables_of(spec: DeviceSpec) -> list[Commandable]:
    """Return the commands of a device. One that is named like another's status or info cannot be told from it."""
    names = {command.name for command in spec.commands if command.name}
    taken = {name + ending for name in names for ending in (STATUS, INFO)}
    kind = Kind(spec.target, spec.entity_type)
    return [Commandable(kind, spec.entity_id, name, line_of(spec)) for name in sorted(names - taken)]


def notified_at(notify_url: str, target: Target) -> str:
    """Return where notifications of a tenant go."""
    return f"{notify_url}/notify?{urlencode({'tenant': target.tenant})}"


class Upkeep:
    """Keeps the context broker as the store says it should be. Everything may be repeated, by any agent."""

    def __init__(self, store: CommandStore, broker: ContextBroker, notify_url: str, database: str) -> None:
        self._store = store
        self._broker = broker
        self._notify_url = notify_url
        self._database = database
        self._aligning = asyncio.Lock()

    async def provisioned(self, spec: DeviceSpec) -> None:
        """Enter a device, and see that the context broker has what it needs; what fails now is done by `mend`.

        `StoreUnavailable` when not even the first can be done.
        """
        commandables = commandables_of(spec)
        kinds = await self._store.enter(line_of(spec), commandables)
        if not kinds:
            return
        try:
            for kind in kinds:
                await self.align(kind)
            await self._make(await self._store.unmade(len(commandables), line_of(spec)))
        except BrokerUnavailable as error:
            log.warning("commands of a device are not ready yet", device=spec.id, why=str(error))

    async def removed(self, spec: DeviceSpec) -> None:
        """Forget a device. The attributes stay on the entity, as with the FIWARE agents."""
        await self.dropped(line_of(spec))

    async def dropped(self, line: Line) -> None:
        """Forget a device of which nothing else is known."""
        for kind in await self._store.enter(line, ()):
            try:
                await self.align(kind)
            except BrokerUnavailable as error:
                log.warning("a subscription is not brought up to date yet", kind=kind, why=str(error))

    async def mend(self, *, thoroughly: bool) -> None:
        """Do what could not be done at its time; `thoroughly`: also look whether the subscriptions are there."""
        try:
            for kind in await self._store.kinds():
                await self.align(kind, trusting=not thoroughly)
            while unmade := await self._store.unmade(MADE_AT_ONCE_COUNT):
                if not await self._make(unmade):
                    return
        except (BrokerUnavailable, StoreUnavailable) as error:
            log.warning("commands are not ready at the context broker", why=str(error))

    async def align(self, kind: Kind, *, trusting: bool = True) -> None:
        """Make the subscription of a kind what it should be; `trusting`: if it is not known to be that."""
        async with self._aligning:
            while await self._align(kind, trusting=trusting):
                trusting = True  # and once more, if a command was added by another agent in between

    async def _align(self, kind: Kind, *, trusting: bool) -> bool:
        """Do one round; whether there was anything to do."""
        id_ = self.subscription_id(kind)
        names, known = await self._store.names(kind), await self._store.subscribed(id_)
        if not names:
            if known is not None:
                await self._broker.unsubscribe(id_, kind)
                await self._store.keep_subscribed(id_, None)
            return False
        wanted = Subscribed(id_, kind, names, notified_at(self._notify_url, kind.target))
        if wanted == known and (trusting or await self._broker.is_subscribed(id_, kind.target)):
            return False
        await self._broker.subscribe(wanted)
        await self._store.keep_subscribed(id_, wanted)
        log.info("subscribed to commands", type=kind.entity_type, tenant=kind.target.tenant, names=names)
        return True

    def subscription_id(self, kind: Kind) -> str:
        """Return the id of the subscription of a kind, the same in every agent of this database."""
        parts = orjson.dumps([self._database, *kind.target, kind.entity_type])
        return f"urn:ngsi-ld:Subscription:commands-{blake2b(parts, digest_size=12).hexdigest()}"

    async def _make(self, commandables: Sequence[Commandable]) -> bool:
        """Give the entities their attributes; False if one of them could not be given them."""
        all_made = True
        for entity in _by_entity(commandables):
            first = entity[0]
            names = [each.name for each in entity]
            try:
                await self._broker.make_attributes(first.kind.target, first.entity_id, first.kind.entity_type, names)
            except BrokerUnavailable as error:
                log.warning("an entity has no attributes for commands yet", entity=first.entity_id, why=str(error))
                all_made = False
            else:
                await self._store.made(entity)
        return all_made


def _by_entity(commandables: Iterable[Commandable]) -> list[list[Commandable]]:
    entities: dict[tuple[str, str], list[Commandable]] = {}
    for each in commandables:
        entities.setdefault((each.kind.target.tenant, each.entity_id), []).append(each)
    return list(entities.values())
