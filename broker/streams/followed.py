"""A subscription that somebody follows: what it is at present, and the channels of all who do."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from broker.context_supply import SuppliedContexts
from broker.notify.settings import DeliverySettings
from broker.notify.subscriber import Subscriber, subscriber
from broker.streams.channel import Channel
from broker.streams.message import Message, end, status
from broker.streams.reading import Key
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text
from ngsi.errors import NgsiError, OperationNotSupported, ResourceNotFound

Load = Callable[[], Awaitable[dict[str, Any] | None]]
"""Reads the stored subscription, None if it does not exist."""


class Followed:
    """`subscriber` is None while the subscription is paused; `place` is where the live feed stood when it began.

    `throttling_s` is 0 without throttling, `expires_at` a system timestamp.
    """

    def __init__(self, key: Key, load: Load, contexts: SuppliedContexts) -> None:
        self.key = key
        self.channels: dict[Channel, None] = {}
        self.subscriber: Subscriber | None = None
        self.throttling_s = 0.0
        self.expires_at: str | None = None
        self.place = ""
        self._load = load
        self._contexts = contexts

    async def read(self, now: str) -> None:
        """Reads the subscription as it is now.

        Raises ResourceNotFound if there is none, OperationNotSupported if there is nothing to follow,
        StorageUnavailable, and LdContextNotAvailable when its names cannot be read.
        """
        document = await self._load()
        if document is None:
            raise ResourceNotFound(f"Subscription {self.key[1]} does not exist")
        members: Mapping[str, Any] = document["subscription"]
        if "timeInterval" in members:
            raise OperationNotSupported(
                f"Subscription {self.key[1]} notifies at fixed times (timeInterval), and a stream tells changes; query "
                "the entities at these times, or follow a subscription without timeInterval"
            )
        expires_at = members.get("expiresAt")
        self.expires_at = None if expires_at is None else system_text(moment(expires_at))
        if self.has_expired(now):
            raise OperationNotSupported(f"Subscription {self.key[1]} has expired at {self.expires_at}")
        self.throttling_s = float(members.get("throttling", 0))
        self.subscriber = await self._contexts.supply(
            lambda contexts: subscriber(self.key[0], document, contexts, DeliverySettings(), None)
        )

    async def refresh(self, now: str) -> None:
        """Takes over a change of the subscription, and tells those who follow it."""
        was_paused = self.subscriber is None
        try:
            await self.read(now)
        except ResourceNotFound:
            self.finish(end("deleted", f"Subscription {self.key[1]} was deleted", resumable=False))
        except OperationNotSupported as exc:
            self.finish(end("expired" if self.has_expired(now) else "changed", exc.detail, resumable=False))
        except NgsiError as exc:
            # As long as the subscription cannot be read as it is now, nothing can be told rightly.
            self.finish(end("unavailable", exc.detail, resumable=True))
        else:
            if was_paused != (self.subscriber is None):
                self.tell(status(self.status))

    @property
    def status(self) -> str:
        """`active` or `paused`."""
        return "paused" if self.subscriber is None else "active"

    def has_expired(self, now: str) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def put(self, message: Message) -> None:
        """A notification for all."""
        for channel in self.channels:
            channel.put(message)

    def tell(self, message: Message) -> None:
        """A word about the subscription to all, at once."""
        for channel in self.channels:
            channel.tell(message)

    def finish(self, message: Message) -> None:
        """The end for all."""
        for channel in self.channels:
            channel.finish(message)
