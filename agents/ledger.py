"""What tells a message that has been stored from one that has not, when it is delivered again.

A device without a clock is stamped by the agent. The MQTT broker delivers again what an agent had not acknowledged when
it was killed or lost its connection, and part of that may have been committed. So every message gets a stamp that is
later than the one before it, and the stamps of a batch are written down before the batch is sent: what comes again gets
the stamp it had, and is then, to a context broker that keeps newer values, a value it has. What is known to be
committed is not sent again at all.

Keys that a profile gives its measures (`agents.duplicates`) are remembered the same way.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

IDENTITY_BYTES = 8
MAX_MESSAGES_COUNT = 2_000
"""Messages remembered as committed: about as many as may be in flight."""
MAX_KEYS_COUNT = 50_000
"""Keys of measures remembered as committed; beyond that the oldest is forgotten."""


class Entry(NamedTuple):
    """A message and the stamp it was given, in milliseconds since 1970."""

    identity: bytes
    stamp_ms: int


class Page(NamedTuple):
    """What is written down of a batch before it is sent: its messages, and the keys of its measures."""

    messages: Sequence[Entry]
    keys: Sequence[bytes]
    writer: str = ""
    """Which agent has written it."""


def identity_of(topic: str, payload: bytes, packet_id: int) -> bytes:
    """Return what an MQTT message can be recognised by when it is delivered again.

    It then has the packet id that it had (MQTT 3.1.1, 4.4), which tells it from another one of the same content.
    """
    said = b"%d\0%b\0%b" % (packet_id, topic.encode("utf-8", "replace"), payload)
    return blake2b(said, digest_size=IDENTITY_BYTES).digest()


def identity_of_key(key: str) -> bytes:
    """Return what a measure with a key of its own can be recognised by."""
    return blake2b(key.encode("utf-8", "replace"), digest_size=IDENTITY_BYTES, person=b"key").digest()


def moment(stamp_ms: int) -> datetime:
    """Return a stamp as an aware datetime."""
    return datetime.fromtimestamp(stamp_ms / 1000, UTC)


class Ledger:
    """The memory of one agent, for all its sessions. Bounded."""

    def __init__(self) -> None:
        self.floor_ms = 0
        """The latest stamp of the agents before this one: their clocks may be ahead of this one's."""
        self._uncertain: dict[bytes, list[int]] = {}
        """Sent to the context broker, and not known to be committed."""
        self._committed: dict[bytes, None] = {}
        self._keys: dict[bytes, None] = {}

    def __contains__(self, key: object) -> bool:
        """Whether the measure with this key is known to be committed."""
        return isinstance(key, str) and identity_of_key(key) in self._keys

    def is_committed(self, identity: bytes) -> bool:
        """Whether a message of this content is known to be committed, and none is uncertain."""
        return identity in self._committed and identity not in self._uncertain

    def recall(self, identity: bytes) -> int | None:
        """Return and take out the stamp of a message that may have been committed; None when it is not known."""
        stamps = self._uncertain.get(identity)
        if stamps is None:
            return None
        stamp = stamps.pop(0)
        if not stamps:
            del self._uncertain[identity]
        return stamp

    def intend(self, messages: Iterable[Entry]) -> None:
        """These are about to be sent: from now on it is uncertain whether they are committed."""
        for identity, stamp in messages:
            stamps = self._uncertain.setdefault(identity, [])
            if stamp not in stamps:
                stamps.append(stamp)

    def settle(self, page: Page) -> None:
        """These are committed, or refused for good."""
        for identity, stamp in page.messages:
            stamps = self._uncertain.get(identity, [])
            if stamp in stamps:
                stamps.remove(stamp)
            if not stamps:
                self._uncertain.pop(identity, None)
            _remember(self._committed, identity, MAX_MESSAGES_COUNT)
        for key in page.keys:
            _remember(self._keys, key, MAX_KEYS_COUNT)

    def learn(self, pages: Sequence[Page]) -> None:
        """Take over what agents before this one have written down, oldest first.

        An agent that wrote another page had settled the one before. Of the last page of each it is not known how it
        ended, until another agent has settled what was in it.
        """
        for page in pages:
            self.floor_ms = max((self.floor_ms, *(stamp for _, stamp in page.messages)))
        said = [page for page in pages if page.messages or page.keys]
        last = {page.writer: number for number, page in enumerate(said)}
        for number, page in enumerate(said):
            if number < last[page.writer]:
                self.settle(page)
            else:
                self.intend(entry for entry in page.messages if entry.identity not in self._committed)


def _remember(memory: dict[bytes, None], identity: bytes, count: int) -> None:
    memory.pop(identity, None)
    memory[identity] = None
    if len(memory) > count:
        del memory[next(iter(memory))]
