"""Places in MongoDB's log, and the ids of a stream's messages, which name them.

    id    = place [ "." count ]
    place = moment number

`moment`: the time of a write in the log, 16 hexadecimal digits; `number`: which of the events of that moment, 4 digits
(the writes of a transaction share theirs). The id says that everything up to the event has been sent, or, with a count
(decimal), everything before the event and the first changes of those that it carries. So an id is all that any process
needs to go on exactly where the client stopped. The order of places as texts is that of the log.
"""

import re
from dataclasses import dataclass

from ngsi.errors import BadRequestData
from ngsi.names import show

_ID = re.compile(r"([0-9a-f]{20})(?:\.([0-9]{1,6}))?")


@dataclass(frozen=True, slots=True)
class Resume:
    """From where on a client wants to be served: behind the event, or behind the first `count` changes of it."""

    place: str
    count: int | None = None

    @property
    def moment(self) -> str:
        """From where on the log has to be read."""
        return self.place[:16]

    def changes_sent(self, place: str) -> int | None:
        """How many changes of the event at the place have been sent; None for all of them."""
        if place < self.place:
            return None
        return self.count if place == self.place else 0


class Counter:
    """Gives events their places, in the order in which they are read."""

    def __init__(self) -> None:
        self._moment = ""
        self._number = 0

    def place(self, moment: str) -> str:
        """The place of the next event, which was written at this moment."""
        self._number = self._number + 1 if moment == self._moment else 1
        self._moment = moment
        return f"{moment}{self._number:04x}"


def behind(moment: str) -> str:
    """The place behind every event of a moment."""
    return f"{moment}ffff"


def parse(text: str) -> Resume:
    """What an id says. BadRequestData if it is none."""
    match = _ID.fullmatch(text)
    if match is None:
        raise BadRequestData(
            f"lastEventId {show(text)} is not the id of a stream's message; give one as it was received, or none"
        )
    return Resume(match[1], None if match[2] is None else int(match[2]))
