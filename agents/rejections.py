"""Messages that could not be stored: counted, logged, and the latest kept where they can be looked at."""

from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime

import structlog

from agents.errors import MeasureError
from agents.metrics import Metrics
from agents.profile import Profile
from agents.pseudonyms import Pseudonyms
from agents.redaction import SHOWN_CHARACTERS, shown, shown_topic
from ngsi.datetimes import system_text

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One message set aside. `payload` is cut, and masked where the profile bears identity."""

    at: str
    topic: str
    reason: str
    detail: str
    payload: str


class Rejections:
    """The latest rejections; beyond `count` the oldest are dropped, their number stays in the metrics."""

    def __init__(self, count: int, pseudonyms: Pseudonyms, metrics: Metrics) -> None:
        self._kept: deque[Rejection] = deque(maxlen=count)
        self._pseudonyms = pseudonyms
        self._metrics = metrics

    def add(self, error: MeasureError, topic: str, payload: bytes, profile: Profile | None, at: datetime) -> None:
        """Count, log and keep a message. `profile` is the one that reads the topic, None if there is none."""
        rejection = Rejection(
            at=system_text(at),
            topic=_cut(shown_topic(topic, profile)),
            reason=error.reason,
            detail=_cut(str(error)),
            payload=shown(payload, profile, self._pseudonyms),
        )
        self._kept.append(rejection)
        self._metrics.rejected.labels(error.reason).inc()
        log.warning("message rejected", **{name: value for name, value in asdict(rejection).items() if name != "at"})

    def latest(self) -> list[Rejection]:
        """Return what is kept, newest first."""
        return list(reversed(self._kept))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
