"""How far the notifier has come in the feed: up to which batch everything is delivered or safely stored."""

from collections import deque
from collections.abc import Mapping
from typing import Any


class Ticket:
    """One batch of the feed. It is settled when as many notifications were settled as were opened, and it is closed."""

    __slots__ = ("had_work", "opened", "position")

    def __init__(self, position: Mapping[str, Any]) -> None:
        self.position = position
        # The batch itself counts as one until it has been read to its end.
        self.opened = 1
        self.had_work = False

    def open(self) -> None:
        """One more notification stems from this batch."""
        self.opened += 1
        self.had_work = True

    def settle(self) -> None:
        """One notification of this batch is delivered or stored, or the batch has been read to its end."""
        self.opened -= 1


class Progress:
    """Batches in the order of the feed; a position is reached when its batch and all before it are settled."""

    def __init__(self) -> None:
        self._tickets: deque[Ticket] = deque()
        self._reached: Mapping[str, Any] | None = None
        self._has_news = False

    @property
    def unsettled(self) -> int:
        """Batches that are not settled, or wait for one that is not."""
        self._advance()
        return len(self._tickets)

    def begin(self, position: Mapping[str, Any]) -> Ticket:
        """A batch that ends at this position starts to be read."""
        ticket = Ticket(position)
        self._tickets.append(ticket)
        return ticket

    def has_news(self) -> bool:
        """Whether a batch with work in it was settled since this was asked last."""
        self._advance()
        has_news, self._has_news = self._has_news, False
        return has_news

    def reached(self) -> Mapping[str, Any] | None:
        """The last position from which a restart loses nothing; None before the first."""
        self._advance()
        return self._reached

    def _advance(self) -> None:
        while self._tickets and self._tickets[0].opened == 0:
            ticket = self._tickets.popleft()
            self._reached = ticket.position
            self._has_news = self._has_news or ticket.had_work
