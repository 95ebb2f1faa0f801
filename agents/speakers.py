"""Who speaks: for each device, how often, what last, and whether it says more than it may.

Found by topic in one look, because every message passes here. A device without a topic of its own (a gateway's) is
known by the topic.
"""

import time
from collections.abc import Iterator, Mapping

from agents.errors import UnknownTopic
from agents.routing import Router
from agents.slots import device_key, slot_of

MAX_COUNT = 100_000
"""Devices and topics remembered; when there are more, all are forgotten."""
_SMOOTHING = 0.2
MIN_GAP_MS = 1000
"""Nothing from any device for longer: perhaps nobody spoke, perhaps nothing came through."""
MIN_EXCUSED_MS = 60_000
MAX_EXCUSED_MS = 3_600_000
"""How long it may take to catch up."""


class Allowance:
    """How much one device may say: `rate` messages a second on the average, `burst` at once. No rate: anything.

    What gathered while nothing came through (the context broker or MongoDB away, no agent, no MQTT broker) comes at
    once, and is no flood: for a while devices may say what they could have said in that time.
    """

    __slots__ = ("_burst", "_excused", "_excused_until_ms", "_heard_ms", "_per_ms", "is_limited", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self._per_ms = rate / 1000
        self._burst = max(burst, 1.0)
        self._excused = 0.0
        self._excused_until_ms = self._heard_ms = 0
        self.is_limited = rate > 0

    def heard(self, now_ms: int, before_ms: int) -> None:
        """Something came through; `before_ms`: when the last thing did in other agents, 0 when that is not known."""
        last_ms, self._heard_ms = self._heard_ms or before_ms or now_ms, now_ms
        gap_ms = now_ms - last_ms
        if now_ms > self._excused_until_ms:
            self._excused = 0.0
        if gap_ms > MIN_GAP_MS:
            self._excused = max(self._excused, gap_ms * self._per_ms)
            excused_for_ms = min(max(gap_ms, MIN_EXCUSED_MS), MAX_EXCUSED_MS)
            self._excused_until_ms = max(self._excused_until_ms, now_ms + excused_for_ms)

    def take(self, speaker: "Speaker", now_ms: int) -> bool:
        """Whether the message of now is within it; then it counts (a token bucket)."""
        limit = self._burst + self._excused
        tokens = min(limit, speaker.tokens + (now_ms - speaker.filled_ms) * self._per_ms)
        speaker.filled_ms = now_ms
        if tokens < 1:
            speaker.tokens = tokens
            return False
        speaker.tokens = tokens - 1
        return True


class Speaker:
    """One device as it is heard. Times in milliseconds since 1970."""

    __slots__ = (
        "count",
        "dropped_count",
        "error",
        "error_at_ms",
        "error_count",
        "filled_ms",
        "heard_ms",
        "interval_ms",
        "is_foreign",
        "key",
        "parts",
        "payload",
        "slot",
        "stamp_ms",
        "tokens",
        "topic",
    )

    def __init__(self, key: str, topic: str, parts: Mapping[str, str], slot: int, floor_ms: int) -> None:
        self.key, self.topic, self.parts, self.slot = key, topic, parts, slot
        self.stamp_ms = floor_ms
        self.tokens = float("inf")
        self.filled_ms = self.heard_ms = self.error_at_ms = 0
        self.interval_ms = 0.0
        self.count = self.error_count = self.dropped_count = 0
        self.error: tuple[str, str] | None = None
        """Reason and detail of the last rejection."""
        self.payload = b""
        self.is_foreign = False
        """No device that this agent knows, or could: see `Converted`."""

    def stamp(self, now_ms: int) -> int:
        """Return the stamp of a message of now: later than that of any before it."""
        stamp = self.stamp_ms + 1
        self.stamp_ms = stamp = max(now_ms, stamp)
        return stamp

    def heard(self, topic: str, payload: bytes, now_ms: int) -> None:
        """Note a message."""
        self.count += 1
        if self.heard_ms:
            passed_ms = now_ms - self.heard_ms
            self.interval_ms += _SMOOTHING * (passed_ms - self.interval_ms) if self.interval_ms else passed_ms
        self.heard_ms, self.topic, self.payload = now_ms, topic, payload

    def failed(self, reason: str, detail: str, now_ms: int) -> None:
        """Note a rejection."""
        self.error_count += 1
        self.error, self.error_at_ms = (reason, detail), now_ms


class Speakers:
    """All who have been heard."""

    def __init__(self, router: Router, slot_count: int) -> None:
        self._router = router
        self._slot_count = slot_count
        self._by_topic: dict[str, Speaker] = {}
        self._by_key: dict[str, Speaker] = {}
        self.floor_ms = 0
        """No stamp is earlier."""

    def __iter__(self) -> Iterator[Speaker]:
        return iter(list(self._by_key.values()))

    def raise_floor(self, floor_ms: int) -> None:
        """From now on no stamp is earlier: agents before this one have given such, by clocks that may be ahead."""
        self.floor_ms = max(self.floor_ms, floor_ms)
        for speaker in self._by_key.values():
            speaker.stamp_ms = max(speaker.stamp_ms, floor_ms)

    def of(self, topic: str) -> Speaker:
        """Return who speaks on a topic."""
        speaker = self._by_topic.get(topic)
        return self._found(topic) if speaker is None else speaker

    def named(self, key: str, topic: str, parts: Mapping[str, str]) -> Speaker:
        """Return the speaker of a device that is known by other means than a topic."""
        speaker = self._by_key.get(key)
        if speaker is None:
            if len(self._by_key) >= MAX_COUNT:
                self._forget()
            speaker = Speaker(key, topic, parts, slot_of(key, self._slot_count), self.floor_ms)
            self._by_key[key] = speaker
        return speaker

    def _found(self, topic: str) -> Speaker:
        try:
            parts: Mapping[str, str] = self._router.route(topic).parts
        except UnknownTopic:
            parts = {}
        speaker = self.named(device_key(topic, parts), topic, parts)
        if len(self._by_topic) >= MAX_COUNT:
            self._by_topic.clear()
        self._by_topic[topic] = speaker
        return speaker

    def _forget(self) -> None:
        newest = max((speaker.stamp_ms for speaker in self._by_key.values()), default=0)
        self.floor_ms = max(self.floor_ms, newest)
        self._by_key.clear()
        self._by_topic.clear()


def now_ms() -> int:
    """The time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
