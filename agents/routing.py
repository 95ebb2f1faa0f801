"""Which profiles read a topic.

Mostly one. The topics of the FIWARE agents that do not name a protocol are read by several profiles: the one that knows
the device takes the message.
"""

from collections.abc import Iterable
from typing import NamedTuple

from agents.errors import UnknownTopic
from agents.profile import Profile

MAX_REMEMBERED_COUNT = 50_000
"""Topics whose route is remembered; when there are more, all are forgotten and found again."""


class Route(NamedTuple):
    """The profiles of a topic, in their order, and the topic's named parts."""

    profiles: tuple[Profile, ...]
    parts: dict[str, str]

    @property
    def profile(self) -> Profile:
        """The first profile."""
        return self.profiles[0]


class Router:
    """Finds the route of a topic, once per topic."""

    def __init__(self, profiles: Iterable[Profile]) -> None:
        self.profiles = tuple(profiles)
        self._schemes = [(scheme, profile) for profile in self.profiles for scheme in profile.topics]
        self._routes: dict[str, Route] = {}
        self.filters = tuple(dict.fromkeys(scheme.filter for scheme, _ in self._schemes))
        """What to subscribe to."""

    def route(self, topic: str) -> Route:
        """Return the route of a topic; `UnknownTopic` when no profile reads it.

        It is read by the profiles that have the first scheme that fits, in the same words.
        """
        try:
            return self._routes[topic]
        except KeyError:
            route = self._find(topic)
        if len(self._routes) >= MAX_REMEMBERED_COUNT:
            self._routes.clear()
        self._routes[topic] = route
        return route

    def _find(self, topic: str) -> Route:
        for scheme, profile in self._schemes:
            if (parts := scheme.parse(topic)) is not None:
                others = (other for same, other in self._schemes if same.pattern == scheme.pattern and other != profile)
                return Route((profile, *others), parts)
        raise UnknownTopic("no profile reads this topic")
