"""What the API asks of the storage about the notifications of one tenant's subscriptions.

Every method raises StorageUnavailable when the storage does not answer in time, and nothing else of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WaitingCounts:
    """Notifications in the backlog, states that throttling holds back, and dead letters, of one subscription."""

    pending: int
    held: int
    dead: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A notification that was given up. `notification` is the UUID in its id, `body` what would have been sent."""

    notification: str
    entities: Sequence[str]
    died_at: str
    reason: str
    body: bytes


class DeliveryStore(ABC):
    """The notifications of one tenant that are stored."""

    @abstractmethod
    async def counts(self, subscription: str) -> WaitingCounts:
        """How much there is of each kind."""

    @abstractmethod
    def dead(self, subscription: str, *, offset: int, limit: int) -> AsyncGenerator[DeadLetter]:
        """The dead letters in the order of the changes that they tell of, from the offset on.

        Who leaves off early closes the generator.
        """

    @abstractmethod
    async def dead_letter(self, subscription: str, notification: str) -> DeadLetter | None:
        """One dead letter, None if there is none."""

    @abstractmethod
    async def replay(self, subscription: str, notification: str | None, now: str) -> int:
        """Puts one or all dead letters back into the backlog, with a new age, and has it sent; how many.

        The backlog is sent in the order of the changes. So those are in order among themselves and with what waits,
        but may come after notifications of later changes, which have been delivered.
        """

    @abstractmethod
    async def drop(self, subscription: str, notification: str | None) -> int:
        """Removes one or all dead letters; how many."""
