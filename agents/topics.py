"""Topic schemes: what a topic says, and which topics to subscribe to.

    scheme  = level *( "/" level )
    level   = text / "{" name "}" / "{" name ":" text "}" / "{" name "...}"
                ; the third: a level of this text, told under that name; the last only at the end: one level or more

`parse` and `format` are inverse to each other; nothing else in the agent looks inside a topic.
"""

import re

from agents.errors import TopicError

_LEVEL = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.|:([^{}]+))?\}")
_FORBIDDEN = ("+", "#", "\0")


class TopicScheme:
    """A pattern such as `/json/{apikey}/{device}/attrs`."""

    __slots__ = ("_levels", "_regex", "filter", "names", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._levels = pattern.split("/")
        self.names: tuple[str, ...] = ()
        wildcards, expressions = [], []
        for position, level in enumerate(self._levels):
            wildcard, expression = self._compile(level, last=position == len(self._levels) - 1)
            wildcards.append(wildcard)
            expressions.append(expression)
        self.filter = "/".join(wildcards)
        self._regex = re.compile("/".join(expressions), re.DOTALL)

    def _compile(self, level: str, *, last: bool) -> tuple[str, str]:
        match = _LEVEL.fullmatch(level)
        if match is None:
            if any(sign in level for sign in ("{", "}", *_FORBIDDEN)):
                raise TopicError(f"Topic {self.pattern!r}: level {level!r} is neither text nor a {{name}}")
            return level, re.escape(level)
        name, rest, fixed = match[1], match[2] == "...", match[3]
        if rest and not last:
            raise TopicError(f"Topic {self.pattern!r}: {level!r} is allowed only at the end")
        if name in self.names:
            raise TopicError(f"Topic {self.pattern!r}: {level!r} stands there twice")
        if fixed is not None and any(sign in fixed for sign in _FORBIDDEN):
            raise TopicError(f"Topic {self.pattern!r}: level {level!r} is neither text nor a {{name}}")
        self.names += (name,)
        if fixed is not None:
            return fixed, f"(?P<{name}>{re.escape(fixed)})"
        return ("#", f"(?P<{name}>.+)") if rest else ("+", f"(?P<{name}>[^/]+)")

    def parse(self, topic: str) -> dict[str, str] | None:
        """Return the named parts of a topic, or None if it is not of this scheme."""
        match = self._regex.fullmatch(topic)
        return None if match is None else match.groupdict()

    def format(self, **parts: str) -> str:
        """Return the topic with these parts; `TopicError` when one is missing or would change the levels."""
        return "/".join(self._fill(level, parts) for level in self._levels)

    def _fill(self, level: str, parts: dict[str, str]) -> str:
        match = _LEVEL.fullmatch(level)
        if match is None:
            return level
        part = parts.get(match[1], match[3] or "")
        is_fixed, may_be_several = match[3] is not None, match[2] == "..."
        if is_fixed and part != match[3]:
            raise TopicError(f"Topic {self.pattern!r}: {part!r} cannot stand for {level}")
        if not part or any(sign in part for sign in _FORBIDDEN) or ("/" in part and not may_be_several):
            raise TopicError(f"Topic {self.pattern!r}: {part!r} cannot stand for {level}")
        return part

    def __repr__(self) -> str:
        return f"TopicScheme({self.pattern!r})"
