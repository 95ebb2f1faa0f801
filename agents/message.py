"""A message on its way through the agent, and the answer to who waits for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.conversion import Converted, Report
from agents.errors import MeasureError, NotTaken, UnknownDevice
from agents.fragment import Fragment
from agents.mqtt import Receipt
from agents.profile import Profile
from agents.speakers import Speaker


@dataclass(slots=True)
class Message:
    """A message that has been received and is not yet acknowledged: to the MQTT broker, or to an HTTP caller."""

    topic: str
    payload: bytes
    stamp_ms: int
    """When it was received; later than any other of its device."""
    speaker: Speaker
    receipt: Receipt | None = None
    identity: bytes = b""
    """What it is recognised by when it is delivered again; empty when it cannot be."""
    is_recalled: bool = False
    """It has its stamp from an earlier delivery, after which it may have been committed."""
    profile: Profile | None = None
    """That of an HTTP caller's route."""
    done: "asyncio.Future[MeasureError | None] | None" = None
    """Of the HTTP caller: None when all is committed, else what was wrong."""
    fragments: Sequence[Fragment] = ()
    reports: Sequence[Report] = ()
    keys: Sequence[str] = ()
    """Of its measures, where the profile gives them any."""
    unknown: UnknownDevice | None = None
    """The device was unknown at the reception: another agent may have provisioned it a moment ago."""
    error: MeasureError | None = None
    outcome: str = field(default="stored")
    """For who watches: stored, or the reason why not."""

    def take(self, converted: Converted) -> None:
        """Enter what it has become."""
        self.fragments, self.reports, self.keys = converted.fragments, converted.reports, converted.keys

    def leave_out(self, outcome: str) -> None:
        """Store nothing of it: it only keeps its place among the acknowledgements."""
        self.fragments, self.reports, self.keys, self.outcome = (), (), (), outcome

    def tell(self, answer: "MeasureError | NotTaken | None") -> None:
        """Answer the HTTP caller who waits, if there still is one."""
        if self.done is None or self.done.done():
            return
        if isinstance(answer, NotTaken):
            self.done.set_exception(answer)
        else:
            self.done.set_result(answer)
