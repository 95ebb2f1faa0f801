"""From the events of the log to the notifications of the subscriptions that are followed, each with its id.

One notification for each (request, subscription): the changes of a request that made several are gathered until all
have come, however the log is cut into batches. So what is made of the log does not depend on when and by whom it is
read, and a client can go on at any process.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from broker.notify.composer import Composer
from broker.notify.linking import Linking, Read
from broker.notify.matcher import Matcher
from broker.notify.state import State
from broker.notify.subscriber import Subscriber
from broker.storage.mongo_documents import changes, entity
from broker.storage.mongo_feed import Event
from broker.streams.message import Message
from broker.streams.place import Counter, Resume
from ngsi.changes import Change, unroll
from ngsi.entity import Entity

_LAPSE_S = 2
_OPEN_COUNT_MAX = 1000

Key = tuple[str, str]
"""Tenant and id of a subscription."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Open:
    """A request of which not all changes have come. `before`: the id of what had been read before its first one.

    `parts`: how many changes it makes, by the one that knew best; `seen` of them have come.
    """

    before: str
    parts: int
    began_s: int
    seen: int = 0
    composer: Composer = field(default_factory=Composer)
    entities: set[str] = field(default_factory=set)


class Reading:
    """The work on the events of one reader of the log, in their order.

    `place` is the event that was read last. `resume` leaves out what has been sent already.
    """

    def __init__(self, place: str, read_linked: Read, resume: Resume | None = None) -> None:
        self.place = place
        self._resume = resume
        self._counter = Counter()
        self._matcher = Matcher()
        self._subscribers: dict[Key, Subscriber] = {}
        self._composer = Composer()
        self._linking = Linking(read_linked)
        self._open: dict[str, _Open] = {}
        self._id = place

    @property
    def id(self) -> str:
        """The id up to which everything has been sent, once all messages made so far are."""
        return next(iter(self._open.values())).before if self._open else self._id

    def put(self, subscriber: Subscriber) -> None:
        """A subscription is followed from now on, or has changed."""
        self._matcher.put(subscriber.criteria)
        self._subscribers[subscriber.tenant, subscriber.id] = subscriber

    def remove(self, key: Key) -> None:
        """A subscription is not followed any more, or paused."""
        self._matcher.remove(*key)
        self._subscribers.pop(key, None)

    def next_place(self, event: Event) -> str:
        """The place of the next event; to be asked once for each, whether it is then read or not."""
        return self._counter.place(event.sequence)

    async def read(self, event: Event, place: str, now: str) -> list[tuple[Key, Message]]:
        """The messages that one event at this place gives."""
        sent_count = 0 if self._resume is None else self._resume.changes_sent(place)
        self.place = place
        if event.collection != "entities" or event.document is None or sent_count is None:
            self._id = place
            return []
        told: list[tuple[Key, Message]] = []
        try:
            states = unroll(event.id, entity(event.document), changes(event.document))
            for number, (state, change) in enumerate(states):
                if number < sent_count:
                    continue
                reached = place if number == len(states) - 1 else f"{place}.{number + 1}"
                matched = self._matcher.match(event.tenant, state, change)
                if matched or change.parts > 1:
                    told_of = State(state, change, f"{event.sequence}{number:04x}")
                    followers = [self._subscribers[criteria.tenant, criteria.subscription] for criteria in matched]
                    if any(follower.looks_further for follower in followers):
                        followers = await self._agreeing(followers, told_of)
                    told += self._tell(followers, told_of, reached, now)
                self._id = reached
        except Exception:
            # One document that cannot be read must not stop the stream for all others.
            log.exception("change not understood", tenant=event.tenant, id=event.id)
            self._id = place
        return told

    def settle(self, now: str, began_before: str | None = None) -> list[tuple[Key, Message]]:
        """The messages of requests that are not complete: no more of them will come.

        With a place only of those that began before it.
        """
        closing = [
            request for request, open_ in self._open.items() if began_before is None or open_.before < began_before
        ]
        return [message for request in closing for message in self._close(request, now)]

    async def _agreeing(self, followers: Iterable[Subscriber], told: State) -> list[Subscriber]:
        """Those whose conditions on linked entities are met; what they want to see of these is fetched."""
        agreeing = []
        for follower in followers:
            if follower.looks_further:
                self._linking.add(follower, told)
            else:
                agreeing.append(follower)
        return agreeing + [follower for follower, _ in await self._linking.settled()]

    def _tell(self, followers: Iterable[Subscriber], told: State, reached: str, now: str) -> list[tuple[Key, Message]]:
        messages = self._make_way(told.entity, told.change, now) if self._open else []
        change = told.change
        composer, open_ = self._composer, None
        if change.parts > 1:
            open_ = self._open.get(change.request)
            if open_ is None:
                open_ = self._open[change.request] = _Open(self._id, change.parts, int(self.place[:8], 16))
            open_.parts = min(open_.parts, change.parts)
            open_.seen += 1
            composer = open_.composer
        for follower in followers:
            composer.add(follower, told)
            if open_ is not None:
                open_.entities.add(told.entity.id)
        self._id = reached
        if open_ is None:
            messages += self._messages(composer, now)
        elif open_.seen >= open_.parts:
            messages += self._close(change.request, now)
        return messages

    def _make_way(self, entity: Entity, change: Change, now: str) -> list[tuple[Key, Message]]:
        """Closes requests that keep the order of an entity's changes from being that of its notifications.

        And those of which nothing more will come: the number of changes that a request tells can be too large.
        """
        present_s = int(self.place[:8], 16)
        too_many = len(self._open) > _OPEN_COUNT_MAX
        closing = [
            request
            for request, open_ in self._open.items()
            if (request != change.request and entity.id in open_.entities)
            or present_s - open_.began_s > _LAPSE_S
            or too_many
        ]
        return [message for request in closing for message in self._close(request, now)]

    def _close(self, request: str, now: str) -> list[tuple[Key, Message]]:
        return self._messages(self._open.pop(request).composer, now)

    def _messages(self, composer: Composer, now: str) -> list[tuple[Key, Message]]:
        made = [(taken[0], taken[1]) for taken in composer.take(now)]
        last = {subscriber: number for number, (subscriber, _) in enumerate(made)}
        reached = self.id
        return [
            (
                (subscriber.tenant, subscriber.id),
                Message("notification", row.body, reached if last[subscriber] == number else None),
            )
            for number, (subscriber, row) in enumerate(made)
        ]
