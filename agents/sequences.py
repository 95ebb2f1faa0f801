"""Numbers that devices count their messages with: a gap says that messages are missing."""

from agents.errors import Gap
from agents.measure import Measure, TopicParts
from agents.profile import Profile
from agents.protocols.base import integer

MAX_COUNTERS_COUNT = 10_000
"""Devices whose last number is remembered; beyond that the oldest is forgotten, and its next gap is not seen."""


class Sequences:
    """The newest number of each counter, as this process has seen it."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], int] = {}

    def check(self, profile: Profile, measure: Measure, parts: TopicParts) -> Gap | None:
        """Return the gap before a measure. A number that is not new closes none: it is a copy, late, or a fresh start.

        After a fresh start (half of the newest number or less) counting goes on from there.
        """
        rule = profile.sequence
        if rule is None or rule.field not in measure.values:
            return None
        number = integer(measure.values, rule.field)
        counter = (profile.name, rule.of.render({**measure.values, **parts}))
        newest = self._newest.pop(counter, number - 1)
        self._newest[counter] = number if number > newest or number <= newest // 2 else newest
        if len(self._newest) > MAX_COUNTERS_COUNT:
            del self._newest[next(iter(self._newest))]
        missing = number - newest - 1
        return Gap(f"{missing} before this one by {rule.field} have not come") if missing > 0 else None
