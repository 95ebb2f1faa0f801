"""What comes in becomes messages: recognised, stamped, measured against its device's allowance, converted."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog

from agents.conversion import Converted, Converter
from agents.errors import MeasureError, TooMany, UnknownDevice, UnknownTopic
from agents.fragment import Fragment
from agents.ledger import Entry, Ledger, identity_of, moment
from agents.measure import TopicParts
from agents.message import Message
from agents.metrics import Metrics
from agents.mqtt import Receipt
from agents.profile import Profile
from agents.provisioning.directory import Directory
from agents.rejections import Rejections
from agents.routing import Router
from agents.slots import device_key
from agents.speakers import Allowance, Speaker, Speakers, now_ms

log = structlog.get_logger(__name__)

TOLD_EVERY_COUNT = 1000
"""Of the messages of a device beyond its allowance, one in so many is kept among the rejected ones."""

DUPLICATE = "duplicate"


class Reception:
    """Makes messages. Nothing here waits, but for devices of HTTP callers that are looked up."""

    def __init__(
        self,
        converter: Converter,
        router: Router,
        speakers: Speakers,
        ledger: Ledger,
        allowance: Allowance,
        rejections: Rejections,
        metrics: Metrics,
        directory: Directory | None,
    ) -> None:
        self._converter = converter
        self._router = router
        self._speakers = speakers
        self._ledger = ledger
        self._allowance = allowance
        self._rejections = rejections
        self._metrics = metrics
        self._directory = directory
        self.on_outcome: Callable[[Message], None] | None = None
        """Called with each message when it is done with, while somebody watches."""

    def from_mqtt(self, topic: str, payload: bytes, is_again: bool, receipt: Receipt) -> Message:
        """Return the message; when it cannot be understood, or is not for this slot, one without fragments."""
        speaker = self._speakers.of(topic)
        if speaker.slot != receipt.session.slot:
            return Message(topic, payload, 0, speaker, receipt, outcome="")
        now = now_ms()
        message = Message(topic, payload, speaker.stamp(now), speaker, receipt)
        if receipt.qos:
            message.identity = identity_of(topic, payload, receipt.packet_id)
        if is_again and message.identity:
            if (stamp := self._ledger.recall(message.identity)) is not None:
                message.stamp_ms, message.is_recalled = stamp, True
            elif self._ledger.is_committed(message.identity):
                self.pass_over(message)
                return message
        speaker.heard(topic, payload, now)
        if self._allowance.is_limited and not is_again:
            self._allowance.heard(now, self._speakers.floor_ms)
            if not self._allowance.take(speaker, now):
                self._refuse_flood(message)
                return message
        self._convert(message)
        return message

    async def from_http(
        self,
        origin: str,
        profile: Profile,
        parts: TopicParts,
        payload: bytes,
        resource: str,
        stated_at: datetime | None,
    ) -> Message:
        """Return the message of an HTTP caller; `MeasureError` when it cannot be understood."""
        now = now_ms()
        speaker = self._speakers.named(device_key(origin, parts), origin, parts)
        message = Message(origin, payload, speaker.stamp(now), speaker, profile=profile)
        message.done = asyncio.get_running_loop().create_future()
        speaker.heard(origin, payload, now)
        if self._allowance.is_limited and not self._allowance.take(speaker, now):
            self._refuse_flood(message)
            raise TooMany(
                f"more than {self._allowance.rate:g} messages a second of one device, for longer than a burst"
            )
        as_ = (profile, parts, payload, moment(message.stamp_ms), resource, stated_at)
        try:
            try:
                converted = self._converter.convert_as(*as_)
            except UnknownDevice as error:
                if self._directory is None or not await self._directory.look_up([error.key]):
                    raise
                converted = self._converter.convert_as(*as_)
        except MeasureError as error:
            self.reject(message, error)
            raise
        self._take(message, converted)
        return message

    async def again(self, topic: str, payload: bytes, at: datetime) -> Message:
        """Return a message that was rejected before, with the time it had then; `MeasureError` when it still is."""
        message = Message(topic, payload, int(at.timestamp() * 1000), self._speakers.of(topic))
        message.done = asyncio.get_running_loop().create_future()
        self._convert(message)
        if message.unknown is not None:
            await self.look_up([message])
        if message.error is not None:
            raise message.error
        return message

    def own(self, fragments: Sequence[Fragment]) -> Message:
        """Return a message of the agent itself."""
        message = Message("", b"", now_ms(), Speaker("", "", {}, 0, 0), outcome="")
        message.fragments = fragments
        message.done = asyncio.get_running_loop().create_future()
        return message

    async def look_up(self, doubtful: Iterable[Message]) -> None:
        """Ask the store for devices that were unknown, and convert again."""
        assert self._directory is not None
        messages = list(doubtful)
        await self._directory.look_up({message.unknown.key for message in messages if message.unknown is not None})
        for message in messages:
            self._convert(message, is_sure=True)

    def pass_over(self, message: Message) -> None:
        """It is stored already."""
        message.leave_out(DUPLICATE)
        self._metrics.duplicates.inc()

    def put_back(self, messages: Iterable[Message]) -> None:
        """Let go of messages that will be delivered again: what is known of them stays known."""
        self._ledger.intend(Entry(each.identity, each.stamp_ms) for each in messages if each.is_recalled)

    def reject(self, message: Message, error: MeasureError) -> None:
        """Set a message aside: counted, told, kept."""
        self._note(message, error)
        self._keep(message, error)

    async def keep(self, message: Message, error: MeasureError) -> None:
        """Set a message aside as `reject` does; returns when it is certainly kept."""
        self._note(message, error)
        await self._rejections.keep(
            error, message.topic, message.payload, self._profile_of(message), moment(message.stamp_ms)
        )

    def can_keep(self, message: Message) -> bool:
        """Whether a message could be replayed, had it been set aside."""
        return self._rejections.can_replay(message.topic, message.payload, self._profile_of(message))

    def _convert(self, message: Message, *, is_sure: bool = False) -> None:
        try:
            converted = self._converter.convert(message.topic, message.payload, moment(message.stamp_ms))
        except UnknownDevice as error:
            if is_sure or self._directory is None:
                self.reject(message, error)
            else:
                message.unknown = error
        except MeasureError as error:
            self.reject(message, error)
        else:
            self._take(message, converted)

    def _take(self, message: Message, converted: Converted) -> None:
        message.take(converted)
        message.speaker.is_foreign = converted.is_foreign
        for remark in converted.remarks:  # the message is taken all the same
            self._keep(message, remark)

    def _refuse_flood(self, message: Message) -> None:
        """Beyond the allowance: acknowledged and dropped, or one device would fill every queue on the way."""
        speaker = message.speaker
        error = TooMany(f"the device sends more than {self._allowance.rate:g} messages a second")
        speaker.dropped_count += 1
        if speaker.dropped_count % TOLD_EVERY_COUNT == 1:
            self.reject(message, error)
            return
        self._note(message, error)
        self._metrics.rejected.labels(error.reason).inc()

    @staticmethod
    def _note(message: Message, error: MeasureError) -> None:
        message.error = error
        message.leave_out(error.reason)
        message.speaker.failed(error.reason, str(error), message.stamp_ms)

    def _keep(self, message: Message, error: MeasureError) -> None:
        self._rejections.add(error, message.topic, message.payload, self._profile_of(message), moment(message.stamp_ms))

    def _profile_of(self, message: Message) -> Profile | None:
        return message.profile or self._profile(message.topic)

    def _profile(self, topic: str) -> Profile | None:
        try:
            return self._router.route(topic).profile
        except UnknownTopic:
            return None
