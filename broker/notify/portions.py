"""States of entities made into notifications of a size that receivers take."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

import structlog

from broker.errors import StorageUnavailable
from broker.notify.composer import rows
from broker.notify.linking import Read
from broker.notify.state import State
from broker.notify.subscriber import Subscriber
from broker.storage.mongo_deliveries import Row
from ngsi.entity import Entity
from ngsi.errors import NgsiError

_ENTITIES_MAX = 1000
_BYTES_MAX = 4_000_000

log = structlog.get_logger(__name__)


async def cut(states: AsyncGenerator[State], subscriber: Subscriber, read: Read) -> AsyncGenerator[list[State]]:
    """The states in lists, each for one notification: 1,000 entities and 4 MB at the most.

    With the linked entities that the subscriber wants to see, as the storage has them now. Closes `states` in the end.
    Raises StorageUnavailable.
    """
    get_all = _getter(read, subscriber.tenant)
    part: list[State] = []
    size_bytes = 0
    async with aclosing(states):
        async for state in states:
            if subscriber.looks_further:
                await _join(state, subscriber, get_all)
            length = len(state.shown(subscriber)) + sum(map(len, state.linked(subscriber).values()))
            if part and (len(part) == _ENTITIES_MAX or size_bytes + length > _BYTES_MAX):
                yield part
                part, size_bytes = [], 0
            part.append(state)
            size_bytes += length
    if part:
        yield part


def compose(subscriber: Subscriber, states: Sequence[State], now: str) -> Row:
    """One notification of states of different entities, as `cut` gives them."""
    (row,) = rows(subscriber, states, now)
    return row


async def _join(state: State, subscriber: Subscriber, get_all: Callable[..., Awaitable[list[Entity]]]) -> None:
    try:
        await state.join(subscriber, get_all)
    except StorageUnavailable:
        raise
    except NgsiError as exc:
        log.warning("linked entities not shown", subscription=subscriber.id, entity=state.entity.id, reason=exc.detail)


def _getter(read: Read, tenant: str) -> Callable[[Sequence[str]], Awaitable[list[Entity]]]:
    async def get_all(ids: Sequence[str]) -> list[Entity]:
        found = await read(tenant, ids)
        return [found[entity_id] for entity_id in ids if entity_id in found]

    return get_all
