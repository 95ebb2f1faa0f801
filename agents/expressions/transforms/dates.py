"""Transforms of times: milliseconds since 1970, or a text of ISO 8601; without a zone it is UTC."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any, Final
from zoneinfo import ZoneInfo

from agents.expressions.javascript import is_number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?")


def moment(value: object) -> datetime | None:
    """The time that a value means, None if it is none."""
    try:
        if is_number(value):
            given: Any = value
            return _EPOCH + timedelta(milliseconds=int(given))
        if not isinstance(value, str):
            return None
        partial = _PARTIAL.fullmatch(value)
        if partial is not None:
            return datetime(int(partial[1]), int(partial[2] or 1), 1, tzinfo=UTC)
        found = datetime.fromisoformat(value.strip())
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def toisodate(value: object, *_: object) -> str | None:
    """The time as YYYY-MM-DDThh:mm:ss.mmmZ."""
    at = moment(value)
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def gettime(value: object, *_: object) -> int | None:
    """Milliseconds since 1970."""
    at = moment(value)
    return None if at is None else (at - _EPOCH) // timedelta(milliseconds=1)


def timeoffset(value: object, *_: object) -> int | None:
    """Minutes from the agent's clock to UTC: always 0, as the agent's clock is UTC."""
    return None if moment(value) is None else 0


def localestring(value: object, locale: object = None, options: object = None, *_: object) -> str | None:
    """The time as people write it in English (en-US) or in day/month order (every other locale).

    Of the options, `timeZone` (a name such as Africa/Casablanca) counts; UTC without it.
    """
    at = moment(value)
    if at is None:
        return None
    zone = options.get("timeZone") if isinstance(options, dict) else None
    if isinstance(zone, str):
        at = at.astimezone(ZoneInfo(zone))
    if locale is None or str(locale).lower() in ("en", "en-us"):
        return f"{at.month}/{at.day}/{at.year}, {at.hour % 12 or 12}:{at:%M:%S} {'AM' if at.hour < 12 else 'PM'}"
    return f"{at.day}/{at.month}/{at.year}, {at.hour}:{at:%M:%S}"


def now(*_: object) -> int:
    """Milliseconds since 1970, at the moment of the evaluation."""
    return int(time() * 1000)


TRANSFORMS: Final[dict[str, Callable[..., Any]]] = {
    "toisodate": toisodate,
    "toisostring": toisodate,
    "gettime": gettime,
    "timeoffset": timeoffset,
    "localestring": localestring,
    "now": now,
}
