"""What a stream says, and how it is written as Server-Sent Events (HTML standard, 9.2) and in WebSocket frames."""

from dataclasses import dataclass
from typing import Literal

import orjson

Event = Literal["notification", "gap", "status", "end", "heartbeat"]


@dataclass(slots=True, eq=False)
class Message:
    """One message: `data` is JSON. One object serves all who follow the subscription, so each form is made once.

    `id` is where to go on after it, None if that has not changed. Nothing follows a message that `is_last`, and has
    a reason for that in one word.
    """

    event: Event
    data: bytes
    id: str | None = None
    is_last: bool = False
    reason: str = ""
    _sse: bytes | None = None
    _frame: str | None = None

    @property
    def sse(self) -> bytes:
        """As Server-Sent Event. A heartbeat is a comment and an id: browsers keep the id, and pages hear nothing."""
        if self._sse is None:
            event_id = b"" if self.id is None else b"id: %s\n" % self.id.encode()
            if self.event == "heartbeat":
                self._sse = b":\n%s\n" % event_id
            else:
                self._sse = b"%sevent: %s\ndata: %s\n\n" % (event_id, self.event.encode(), self.data)
        return self._sse

    @property
    def frame(self) -> str:
        """As the text of a WebSocket frame: an object with the members event, id and data."""
        if self._frame is None:
            event_id = b"" if self.id is None else b',"id":"%s"' % self.id.encode()
            data = b',"data":' + self.data if self.data else b""
            self._frame = (b'{"event":"%s"%s%s}' % (self.event.encode(), event_id, data)).decode()
        return self._frame


def heartbeat(place: str | None) -> Message:
    """Says that the connection lives, and to where the log has been read if nothing is left unsent."""
    return Message("heartbeat", b"", place)


def gap(reason: str, place: str | None = None) -> Message:
    """Changes may be missing between the last message and the next; the place is where it goes on."""
    return Message("gap", orjson.dumps({"reason": reason}), place)


def status(value: str) -> Message:
    """The subscription is paused (nothing comes until it is active again), or active."""
    return Message("status", orjson.dumps({"status": value}))


def end(reason: str, detail: str, *, resumable: bool) -> Message:
    """The stream ends. `resumable`: who comes back with the last id is served from there."""
    data = orjson.dumps({"reason": reason, "detail": detail, "resumable": resumable})
    return Message("end", data, is_last=True, reason=reason)
