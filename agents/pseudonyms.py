"""Pseudonyms of badges, and fingerprints of payloads that must not be shown.

HMAC-SHA-256(key of the tenant, badge || purpose || period) with the UTC day, or several, as the period: two readings of
one badge in one period and for one purpose can be joined, no others can, and without the key neither can be traced back
by trying all card numbers. Each part is preceded by its length, so that no two inputs give the same message.
"""

import hmac
from datetime import date, datetime

from agents.errors import WrongShape

KEY_BYTES = 16
"""A key is at least this long."""

_SEPARATORS = str.maketrans("", "", " :-")


class Pseudonyms:
    """The pseudonyms of one tenant; those of another are unrelated, also with the same key."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes, tenant: str = "") -> None:
        self._key = hmac.digest(key, b"tenant\0" + tenant.encode(), "sha256")

    def of(self, badge: object, purpose: str, at: datetime, days: int = 1) -> str:
        """Return the 32 hexadecimal digits that stand for a badge at that time; `WrongShape` for what is no badge id.

        Another one every `days` days: the periods begin on the same days for everybody.

        A badge id is a whole number or text; case, blanks, colons and hyphens of the text do not matter, because one
        card is written `40:a0:83:80` by one reader and `40A08380` by the next.
        """
        parts = (_normalised(badge), purpose, _period(at.date(), days))
        message = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.digest(self._key, message.encode(), "sha256").hex()[:32]

    def fingerprint(self, payload: bytes) -> str:
        """Return 16 hexadecimal digits by which a payload can be recognised, but not guessed."""
        return hmac.digest(self._key, b"payload\0" + payload, "sha256").hex()[:16]


def _period(day: date, days: int) -> str:
    """The first day of the period, and its length where that is not one day."""
    first = date.fromordinal(max(1, day.toordinal() // days * days))
    return first.isoformat() if days == 1 else f"{first.isoformat()}+{days}"


def _normalised(badge: object) -> str:
    if isinstance(badge, int) and not isinstance(badge, bool):
        return str(badge)
    text = badge.translate(_SEPARATORS).lower() if isinstance(badge, str) else ""
    if not text:
        raise WrongShape("the badge id is neither a whole number nor text")
    return text
