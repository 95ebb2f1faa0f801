"""From changes to notifications: one for each (request, subscription), with all entities of the request in it.

The change stream knows no requests: it may bring the entities of one in several batches. So each change of a request on
many entities says how many there are (`Change.parts`), and what a subscriber is to be told of it is held until all have
been seen, or none came for a while.

The same entity twice in one request gives two notifications, and an entity never comes into a notification that stands
before one which it is already in: so the order per entity is that of the changes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from typing import NamedTuple

from broker.notify.progress import Ticket
from broker.notify.state import State
from broker.notify.subscriber import Subscriber
from broker.storage.mongo_deliveries import Row
from ngsi.changes import Change

__all__ = ["Composer", "Made", "State", "rows"]

HOLD_S = 0.5
"""How long to wait for the rest of a request after its last change so far. It takes that long only when the rest never
comes: the number of changes was known too late, or another process interfered."""

_PARTS_MAX = 10_000
_HELD_MAX = 10_000
_BODY_BYTES_MAX = 4_000_000


_Key = tuple[str, str, str]
"""Tenant and id of a subscription, whose Subscriber may be made anew at any time; a request or an entity."""


class Made(NamedTuple):
    """A notification, for whom, and the batch of the feed that it keeps unsettled."""

    subscriber: Subscriber
    row: Row
    ticket: Ticket | None


@dataclass(slots=True)
class _Group:
    """What one notification tells. Its batch of the feed is the one that its first state stems from."""

    number: int
    subscriber: Subscriber
    request: str
    ticket: Ticket | None
    states: list[State] = field(default_factory=list)


@dataclass(slots=True)
class _Request:
    """A request of which not all changes have been seen."""

    parts: int
    seen: int
    seen_at_s: float


class Composer:
    """Gathers what subscribers are to be told of, and gives it as notifications, in order."""

    def __init__(self) -> None:
        self._number = 0
        self._groups: list[_Group] = []
        self._by_request: dict[_Key, _Group] = {}
        self._last: dict[_Key, int] = {}
        self._requests: dict[str, _Request] = {}

    def see(self, change: Change, now_s: float) -> None:
        """A change has come out of the feed, whether anybody is told of it or not. To be called before `add`."""
        if change.parts == 1 or change.parts > _PARTS_MAX:
            return
        known = self._requests.setdefault(change.request, _Request(change.parts, 0, now_s))
        known.parts = min(known.parts, change.parts)
        known.seen += 1
        known.seen_at_s = now_s
        if known.seen >= known.parts:
            del self._requests[change.request]

    def add(self, subscriber: Subscriber, state: State) -> None:
        """One subscriber is to be told of one change."""
        request = state.change.request
        tenant, name = subscriber.tenant, subscriber.id
        key = (tenant, name, request)
        entity_key = (tenant, name, state.entity.id)
        group = self._by_request.get(key)
        if group is None or self._last.get(entity_key, -1) >= group.number:
            self._number += 1
            group = self._by_request[key] = _Group(self._number, subscriber, request, state.ticket)
            self._groups.append(group)
            if state.ticket is not None:
                state.ticket.open()
        group.states.append(state)
        self._last[entity_key] = group.number

    def release(self, tenant: str, subscription: str) -> None:
        """What a subscriber is to be told is held no longer: the subscription is about to change."""
        for group in self._groups:
            if (group.subscriber.tenant, group.subscriber.id) == (tenant, subscription):
                self._requests.pop(group.request, None)

    @property
    def is_holding(self) -> bool:
        """Whether notifications wait for more changes of their request."""
        return bool(self._groups)

    def take(self, now: str) -> list[tuple[Subscriber, Row]]:
        """All notifications, complete or not, made at this system timestamp."""
        return [(made.subscriber, made.row) for made in self.complete(now, inf)]

    def complete(self, now: str, now_s: float) -> list[Made]:
        """The notifications that need not wait any longer, made at this system timestamp.

        `now_s` is the time of the clock that `see` was told.
        """
        if not self._groups:
            self._forget(now_s)
            return []
        ready = self._ready(now_s) if self._requests else self._groups
        if len(ready) == len(self._groups):
            self._groups, self._by_request, self._last = [], {}, {}
        else:
            taken = {group.number for group in ready}
            self._groups = [group for group in self._groups if group.number not in taken]
            self._by_request = {key: group for key, group in self._by_request.items() if group.number not in taken}
            oldest = self._groups[0].number
            self._last = {key: number for key, number in self._last.items() if number >= oldest}
        return [made for group in ready for made in _made(group, now)]

    def _ready(self, now_s: float) -> list[_Group]:
        """The groups that need not wait, neither for their request nor for one before them with the same entity."""
        self._forget(now_s)
        if sum(len(group.states) for group in self._groups) > _HELD_MAX:
            self._requests.clear()
        held: set[_Key] = set()
        ready: list[_Group] = []
        for group in self._groups:
            subscriber = group.subscriber
            keys = [(subscriber.tenant, subscriber.id, state.entity.id) for state in group.states]
            if group.request in self._requests or not held.isdisjoint(keys):
                held.update(keys)
            else:
                ready.append(group)
        return ready

    def _forget(self, now_s: float) -> None:
        """Waits no longer for requests that were silent for too long."""
        if self._requests:
            late = [name for name, known in self._requests.items() if known.seen_at_s + HOLD_S <= now_s]
            for name in late:
                del self._requests[name]


def rows(subscriber: Subscriber, states: Sequence[State], now: str) -> Iterator[Row]:
    """The notification of these states, each of another entity; several where one would be too large to be stored."""
    if len(states) == 1:
        yield _row(subscriber, states, now)
        return
    part: list[State] = []
    size_bytes = 0
    for state in states:
        own_bytes = len(state.shown(subscriber)) + sum(map(len, state.linked(subscriber).values()))
        if part and size_bytes + own_bytes > _BODY_BYTES_MAX:
            yield _row(subscriber, part, now)
            part, size_bytes = [], 0
        part.append(state)
        size_bytes += own_bytes
    yield _row(subscriber, part, now)


def _made(group: _Group, now: str) -> Iterator[Made]:
    ticket = group.ticket
    for number, row in enumerate(rows(group.subscriber, group.states, now)):
        if number and ticket is not None:
            ticket.open()
        yield Made(group.subscriber, row, ticket)


def _row(subscriber: Subscriber, states: Sequence[State], now: str) -> Row:
    # The id tells the events that it stems from: the same after a restart, another if the batch was cut differently.
    origin = " ".join([f"{state.entity.id} {state.sequence}" for state in states])
    notification = _uuid(f"{subscriber.tenant} {subscriber.id} {origin}")
    head, opening, end = subscriber.frame
    shown = [state.shown(subscriber) for state in states]
    if subscriber.looks_further:
        shown += _linked(subscriber, states)
    body = b"".join(
        (
            b'{"id":"urn:ngsi-ld:Notification:',
            notification.encode(),
            head,
            now.encode(),
            opening,
            b",".join(shown),
            end,
        )
    )
    entities = [state.entity.id for state in states]
    return Row(subscriber.id, states[0].sequence, notification, entities, now, body, subscriber.link)


def _linked(subscriber: Subscriber, states: Sequence[State]) -> Iterator[bytes]:
    """The linked entities that stand behind the others, each once."""
    told = {state.entity.id for state in states}
    for state in states:
        for entity_id, shown in state.linked(subscriber).items():
            if entity_id not in told:
                told.add(entity_id)
                yield shown


def _uuid(origin: str) -> str:
    """A UUID of version 8 (RFC 9562: made from what its maker chooses) that is the same for the same origin."""
    digest = blake2b(origin.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"
