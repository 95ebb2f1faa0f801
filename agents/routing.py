"""Which profiles read a topic.

Mostly one. The topics of the FIWARE agents that do not name a protocol are read by several profiles: the one that knows
the device takes the message.
"""

from collections.abc import Iterable
from typing import NamedTuple

from agents.errors import UnknownTopic
from agents.measure import LIVENESS
from agents.profile import Profile

CHANNEL = "channel"
"""The topic part that tells what is no measure: `liveness` for an availability topic."""

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
        self._availability = [(scheme, profile) for profile in self.profiles for scheme in profile.liveness.topics]
        self._paths = [(scheme, profile) for profile in self.profiles for scheme in profile.routes]
        self._routes: dict[str, Route] = {}
        self.filters = tuple(dict.fromkeys(scheme.filter for scheme, _ in (*self._schemes, *self._availability)))
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

    def at_path(self, path: str) -> Route | None:
        """Return the route of a path of the HTTP port; None when no profile reads it."""
        found = ((profile, scheme.parse(path)) for scheme, profile in self._paths)
        return next((Route((profile,), parts) for profile, parts in found if parts is not None), None)

    def _find(self, topic: str) -> Route:
        for scheme, profile in self._availability:
            if (parts := scheme.parse(topic)) is not None:
                return Route((profile,), {**parts, CHANNEL: LIVENESS})
        for scheme, profile in self._schemes:
            if (parts := scheme.parse(topic)) is not None:
                others = (other for same, other in self._schemes if same.pattern == scheme.pattern and other != profile)
                return Route((profile, *others), parts)
        raise UnknownTopic("no profile reads this topic")
