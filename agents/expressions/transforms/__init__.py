"""The transforms of expressions, `value|name(arguments)`: those of the FIWARE IoT agents, by the same names.

Each takes the value and the arguments, all of which may be left out, and gives a JSON value or None. A TypeError or
ValueError says that it cannot take what it was given.
"""

from collections.abc import Callable
from typing import Any, Final

from agents.expressions.transforms import collections, dates, numbers, text

TRANSFORMS: Final[dict[str, Callable[..., Any]]] = {
    **collections.TRANSFORMS,
    **dates.TRANSFORMS,
    **numbers.TRANSFORMS,
    **text.TRANSFORMS,
}
OF_NOTHING: Final = frozenset({"isarray", "isnan", "now", "typeof"})
"""Those that have an answer also when there is no value."""
