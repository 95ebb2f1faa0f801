"""From changes to notifications: one for each (request, subscription) with all entities of the request in one batch.

The same entity twice in one request gives two notifications, and an entity never comes into a notification that stands
before one which it is already in: so the order per entity is that of the changes.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson

from broker.notify.matcher import ATTRIBUTE_DELETED, ENTITY_DELETED
from broker.notify.subscriber import Subscriber
from broker.storage.mongo_deliveries import Row
from ngsi.changes import Change
from ngsi.entity import Entity
from ngsi.notification import View, changed_entity, deleted_entity


@dataclass(slots=True)
class State:
    """An entity after one change (before it, for a deletion). `sequence` is the place of the change in the feed."""

    entity: Entity
    change: Change
    sequence: str
    _shown: dict[View, bytes] = field(default_factory=dict)

    def shown(self, subscriber: Subscriber) -> bytes:
        """The entity as the subscriber wants it, as JSON; made once for all subscribers with the same view."""
        view = subscriber.view
        if self.change.event == "deleted":
            return orjson.dumps(deleted_entity(self.entity, self.change, view, _watched_deletions(subscriber, self)))
        found = self._shown.get(view)
        if found is None:
            found = self._shown[view] = orjson.dumps(changed_entity(self.entity, self.change, view))
        return found


@dataclass(slots=True)
class _Group:
    number: int
    subscriber: Subscriber
    states: list[State]


class Composer:
    """Gathers what subscribers are to be told of; `take` gives it as notifications, in order."""

    def __init__(self) -> None:
        self._groups: list[_Group] = []
        self._by_request: dict[tuple[Subscriber, str], _Group] = {}
        self._last: dict[tuple[Subscriber, str], int] = {}

    def add(self, subscriber: Subscriber, state: State) -> None:
        """One subscriber is to be told of one change."""
        key = (subscriber, state.change.request)
        entity_key = (subscriber, state.entity.id)
        group = self._by_request.get(key)
        if group is None or self._last.get(entity_key, -1) >= group.number:
            group = self._by_request[key] = _Group(len(self._groups), subscriber, [])
            self._groups.append(group)
        group.states.append(state)
        self._last[entity_key] = group.number

    def take(self, now: str) -> list[tuple[Subscriber, Row]]:
        """All notifications gathered, made at this system timestamp."""
        if not self._groups:
            return []
        made = [(group.subscriber, _row(group, now)) for group in self._groups]
        self._groups, self._by_request, self._last = [], {}, {}
        return made


def _row(group: _Group, now: str) -> Row:
    subscriber, states = group.subscriber, group.states
    sequence = states[0].sequence
    # The id tells the events that it stems from: the same after a restart, another if the batch was cut differently.
    origin = " ".join([f"{state.entity.id} {state.sequence}" for state in states])
    notification = _uuid(f"{subscriber.tenant} {subscriber.id} {origin}")
    body = b"".join(
        (
            b'{"id":"urn:ngsi-ld:Notification:',
            notification.encode(),
            subscriber.head,
            now.encode(),
            b'","data":[',
            b",".join([state.shown(subscriber) for state in states]),
            subscriber.tail,
        )
    )
    entities = [state.entity.id for state in states]
    return Row(subscriber.id, sequence, notification, entities, now, body, subscriber.link)


def _uuid(origin: str) -> str:
    """A UUID of version 8 (RFC 9562: made from what its maker chooses) that is the same for the same origin."""
    digest = blake2b(origin.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"


def _watched_deletions(subscriber: Subscriber, state: State) -> Collection[str] | None:
    """The attributes whose deletion is told, None when the subscriber asked for the deletion of the entity itself."""
    criteria = subscriber.criteria
    if criteria.triggers & ENTITY_DELETED or not criteria.triggers & ATTRIBUTE_DELETED:
        return None
    return state.entity.attributes if criteria.watched is None else criteria.watched
