"""Throttling of a stream (clause 5.8.6): within the time after a notification nothing is sent but the newest states.

A message that is held back is taken apart, and of each entity only its last state is kept; when the time is over, one
notification goes out with all of them. It has the id of the last message in it, so a client that comes back with it
misses nothing; who comes back with an earlier one is served what was held from the log.
"""

from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from broker.streams.message import Message

_HELD_BYTES_MAX = 4_000_000


class Throttle:
    """The state of one client's stream. Times are seconds of a monotonic clock; `interval_s` 0 holds nothing back."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self._free_at_s = 0.0
        self._held: dict[str, Any] = {}
        self._held_bytes = 0
        self._origins: list[str] = []
        self._last: tuple[dict[str, Any], str | None] | None = None

    @property
    def is_holding(self) -> bool:
        """Whether something waits for the end of the time."""
        return self._last is not None

    def wait_s(self, now_s: float) -> float | None:
        """How long until what is held goes out; None if nothing is."""
        return max(0.0, self._free_at_s - now_s) if self.is_holding else None

    def let_through(self, messages: Iterable[Message], now_s: float) -> list[Message]:
        """Of these messages and what is held, what may go out now."""
        out: list[Message] = []
        if self.is_holding and now_s >= self._free_at_s:
            out.append(self._release(now_s))
        for message in messages:
            if message.event != "notification":
                out.append(message)
            elif now_s >= self._free_at_s and not self.is_holding:
                self._free_at_s = now_s + self.interval_s
                out.append(message)
            else:
                self._hold(message)
                if self._held_bytes > _HELD_BYTES_MAX:
                    # Memory has a bound; the last states are never lost, so they go out early.
                    out.append(self._release(now_s))
        return out

    def _hold(self, message: Message) -> None:
        notification = orjson.loads(message.data)
        data = notification["data"]
        for entity in data["features"] if isinstance(data, dict) else data:
            self._held.pop(entity["id"], None)
            self._held[entity["id"]] = entity
        self._held_bytes += len(message.data)
        self._origins.append(notification["id"])
        self._last = (notification, message.id)

    def _release(self, now_s: float) -> Message:
        assert self._last is not None
        notification, message_id = self._last
        entities = list(self._held.values())
        data = notification["data"]
        notification["data"] = {**data, "features": entities} if isinstance(data, dict) else entities
        if len(self._origins) > 1:
            notification["id"] = f"urn:ngsi-ld:Notification:{uuid5(NAMESPACE_URL, ' '.join(self._origins))}"
        self._held, self._held_bytes, self._origins, self._last = {}, 0, [], None
        self._free_at_s = now_s + self.interval_s
        return Message("notification", orjson.dumps(notification), message_id)
