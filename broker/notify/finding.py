"""What one test of a match found, for people who wonder why a notification did not come."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ngsi.names import show

_LISTED_MAX = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """The name of the test, whether it is passed, one sentence, and the findings that it consists of."""

    test: str
    passed: bool
    detail: str
    parts: tuple["Finding", ...] = ()

    def document(self) -> dict[str, Any]:
        """The finding as clients read it."""
        shown: dict[str, Any] = {"test": self.test, "passed": self.passed, "detail": self.detail}
        if self.parts:
            shown["parts"] = [part.document() for part in self.parts]
        return shown


def listed(items: Iterable[object]) -> str:
    """Some items in a sentence, the first of many."""
    texts = [item if isinstance(item, str) else show(item) for item in items]
    more = len(texts) - _LISTED_MAX
    return ", ".join(texts[:_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")
