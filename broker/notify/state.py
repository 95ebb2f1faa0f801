"""A change of an entity as subscribers are told of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.joined import GetAll, show_joined
from broker.kept_json import kept_json
from broker.notify.matcher import ATTRIBUTE_DELETED, ENTITY_DELETED
from broker.notify.progress import Ticket
from broker.notify.subscriber import Subscriber
from ngsi.changes import Change
from ngsi.context import Context
from ngsi.entity import Entity
from ngsi.errors import TooManyResults
from ngsi.notification import changed_entity, deleted_entity, finished, told

JOINED_BYTES_MAX = 4_000_000
"""An entity with all that it is linked to: what one document of `deliveries` can hold with ease."""

_NOTHING: Mapping[str, bytes] = {}

Key = tuple[Context, bytes]


@dataclass(slots=True)
class State:
    """An entity after one change (before it, for a deletion).

    `sequence` is the place of the change in the feed, `ticket` the batch of the feed that brought it.
    """

    entity: Entity
    change: Change
    sequence: str
    ticket: Ticket | None = None
    _shown: dict[Key, bytes] = field(default_factory=dict)
    _linked: dict[Key, dict[str, bytes]] = field(default_factory=dict)

    def shown(self, subscriber: Subscriber) -> bytes:
        """The entity as the subscriber wants it, as JSON; made once for all subscribers with the same view."""
        view = subscriber.view
        if self.change.event == "deleted":
            return kept_json(deleted_entity(self.entity, self.change, view, _watched_deletions(subscriber, self)))
        found = self._shown.get(view.key)
        if found is None:
            found = self._shown[view.key] = kept_json(changed_entity(self.entity, self.change, view))
        return found

    def linked(self, subscriber: Subscriber) -> Mapping[str, bytes]:
        """The linked entities that come behind it, by id; none unless `join` has fetched them."""
        return self._linked.get(subscriber.view.key, _NOTHING) if subscriber.looks_further else _NOTHING

    async def join(self, subscriber: Subscriber, get_all: GetAll) -> None:
        """Fetches the linked entities that the subscriber wants to see. Raises TooManyResults."""
        view = subscriber.view
        if not view.look.join_level or self.change.event == "deleted" or view.key in self._shown:
            return
        (shown,), linked = await show_joined(get_all, view.look, [told(self.entity, self.change, view)])
        own = _bytes(shown, subscriber)
        others = {known: _bytes(other, subscriber) for known, other in linked.items() if other}
        if len(own) + sum(map(len, others.values())) > JOINED_BYTES_MAX:
            raise TooManyResults(f"The linked entities come to more than {JOINED_BYTES_MAX} bytes")
        self._shown[view.key], self._linked[view.key] = own, others


def _bytes(shown: dict[str, Any], subscriber: Subscriber) -> bytes:
    return kept_json(finished(shown, subscriber.view))


def _watched_deletions(subscriber: Subscriber, state: State) -> Collection[str] | None:
    """The attributes whose deletion is told, None when the subscriber asked for the deletion of the entity itself."""
    criteria = subscriber.criteria
    if criteria.triggers & ENTITY_DELETED or not criteria.triggers & ATTRIBUTE_DELETED:
        return None
    return state.entity.attributes if criteria.watched is None else criteria.watched
