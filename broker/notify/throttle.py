"""Throttling (clause 5.2.12): between two notifications of a subscription at least so much time.

What happens meanwhile is held back, of each entity the newest state that matched, in MongoDB: so the last state is
never lost, and the feed goes on. When the time is over one notification tells of all that is held.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from broker.notify import metrics
from broker.notify.portions import compose, cut
from broker.notify.services import Services
from broker.notify.state import State
from broker.notify.subscriber import Subscriber
from broker.notify.timed import Portion, Source, TimedLane, now_text
from broker.storage.mongo_held import HeldState


class HeldBack(Source):
    """The states of one subscription that are held back. `lane` is woken when there are some."""

    def __init__(self, tenant: str, subscription: str, services: Services, *, has_held: bool) -> None:
        self._tenant = tenant
        self._subscription = subscription
        self._services = services
        self._arriving_count = 0
        self._has_held = has_held
        self._is_sending = False
        self.lane: TimedLane | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held, nor on its way there or out."""
        return not self._has_held and not self._arriving_count and not self._is_sending

    def hold(self, told: State) -> None:
        """The subscription is to be told of this state; later than all before, and in place of one of the entity."""
        ticket = told.ticket
        assert ticket is not None, "it comes from the feed"
        state = HeldState(self._subscription, told.sequence, now_text(), told.entity, told.change)
        self._arriving_count += 1
        ticket.open()

        def durable() -> None:
            ticket.settle()
            self._arriving_count -= 1
            self._has_held = True
            if self.lane is not None:
                self.lane.wake()

        metrics.HELD.inc()
        self._services.backlog.hold(self._tenant, state, durable)

    def due_s(self, subscriber: Subscriber) -> float:
        """See Source: at once, as far as throttling allows; an expired subscription is told nothing more."""
        expires_at = subscriber.criteria.expires_at
        is_expired = expires_at is not None and expires_at <= now_text()
        return 0.0 if self._has_held and not is_expired else float("inf")

    async def portions(self, subscriber: Subscriber) -> AsyncGenerator[Portion]:
        """See Source."""
        self._has_held, self._is_sending = False, True
        is_complete = False
        try:
            await self._services.backlog.flush()
            async with aclosing(cut(self._states(), subscriber, self._services.read_linked)) as parts:
                async for states in parts:
                    yield self._portion(subscriber, states)
            is_complete = True
        finally:
            self._has_held, self._is_sending = self._has_held or not is_complete, False

    def complete(self, subscriber: Subscriber) -> None:
        """See Source."""

    async def _states(self) -> AsyncGenerator[State]:
        async with aclosing(self._services.deliveries.held(self._tenant, self._subscription)) as found:
            async for held in found:
                yield State(held.entity, held.change, held.sequence)

    def _portion(self, subscriber: Subscriber, states: list[State]) -> Portion:
        now = now_text()
        row = compose(subscriber, states, now)

        def release() -> None:
            for state in states:
                held = HeldState(self._subscription, state.sequence, now, state.entity, state.change)
                self._services.backlog.drop(self._tenant, held)

        def bury(reason: str) -> None:
            row.died = (now, reason)
            metrics.DEAD_LETTERS.inc()
            self._services.backlog.put(self._tenant, row, release)

        return Portion(row, min(state.change.at for state in states), release, bury)
