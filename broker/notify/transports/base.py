"""The seam between the notifier and the ways to reach a receiver."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Destination:
    """Where and how the notifications of a subscription go.

    `headers` are those of the notification (Content-Type, Link, receiverInfo, NGSILD-Tenant), whatever the transport
    makes of them. `timeout_s` bounds one attempt, connecting included. URI, headers and options may carry secrets: they
    are shown to nobody.
    """

    uri: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout_s: float
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The subscription's notifierInfo: what it asks of the transport itself."""
    prepared: Any = field(default=None, repr=False)
    """What a transport made of all this at its first use, for the next ones."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt. `error` says in words why it failed, None if it was delivered.

    `error` is read by operators and subscribers, so it carries no secrets. `is_refusal`: the receiver is there and does
    not want this very notification; others may fare better. `is_gone`: it has said that it is gone for good (410).
    `code`: what it answered, where the transport has such a thing (the status of HTTP).
    """

    error: str | None = None
    retry_after_s: float = 0.0
    is_refusal: bool = False
    is_gone: bool = False
    code: int | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken the notification."""
        return self.error is None


DELIVERED = Outcome()


class Transport(ABC):
    """Hands notifications to receivers of certain URI schemes, over connections that it keeps and reuses."""

    @abstractmethod
    async def send(self, destination: Destination, body: bytes) -> Outcome:
        """One attempt, within the destination's timeout; never raises for what the receiver or the network does.

        Delivered means that the receiver has confirmed it. A failed attempt may have reached it all the same.
        """

    @abstractmethod
    async def close(self) -> None:
        """Ends all connections."""
