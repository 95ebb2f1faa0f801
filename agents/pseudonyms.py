"""Pseudonyms of badges, and fingerprints of payloads that must not be shown.

HMAC-SHA-256(key of the tenant, badge || purpose || period) with the UTC day, or several, as the period: two readings of
one badge in one period and for one purpose can be joined, no others can, and without the key neither can be traced back
by trying all card numbers. Each part is preceded by its length, so that no two inputs give the same message.

A secret is one key, or lines `<date> <key>`: from the first period that begins on that date on, or later, the key is
this one. Whoever destroys an old line cannot trace back what was made with it any more.
"""

import hmac
import re
from datetime import date, datetime

from agents.errors import ConfigurationError, WrongShape

KEY_BYTES = 16
"""A key is at least this long."""

_DATED = re.compile(rb"(\d{4}-\d\d-\d\d)[ \t]+(\S.*)")

_SEPARATORS = str.maketrans("", "", " :-")


class Pseudonyms:
    """The pseudonyms of one tenant; those of another are unrelated, also with the same key."""

    __slots__ = ("_keys", "_others", "_secret", "are_lasting", "tenant")

    def __init__(self, secret: bytes, tenant: str = "", *, are_lasting: bool = True) -> None:
        """`ConfigurationError` for a secret of several keys that cannot be read.

        `are_lasting`: the secret is the operator's, and not made up for this process.
        """
        self.are_lasting = are_lasting
        self.tenant = tenant
        self._secret = secret
        self._keys = [
            (since, hmac.digest(key, b"tenant\0" + tenant.encode(), "sha256")) for since, key in keys_of(secret)
        ]
        """The newest first."""
        self._others: dict[str, Pseudonyms] = {}

    def within(self, tenant: str) -> "Pseudonyms":
        """Return those of another tenant: of a group with a service of its own."""
        if tenant == self.tenant:
            return self
        if tenant not in self._others:
            self._others[tenant] = Pseudonyms(self._secret, tenant, are_lasting=self.are_lasting)
        return self._others[tenant]

    def of(self, badge: object, purpose: str, at: datetime, days: int = 1) -> str:
        """Return the 32 hexadecimal digits that stand for a badge at that time; `WrongShape` for what is no badge id.

        Another one every `days` days: the periods begin on the same days for everybody.

        A badge id is a whole number or text; case, blanks, colons and hyphens of the text do not matter, because one
        card is written `40:a0:83:80` by one reader and `40A08380` by the next.
        """
        first = _first_day(at.date(), days)
        parts = (_normalised(badge), purpose, first.isoformat() if days == 1 else f"{first.isoformat()}+{days}")
        message = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.digest(self._key_of(first), message.encode(), "sha256").hex()[:32]

    def fingerprint(self, payload: bytes) -> str:
        """Return 16 hexadecimal digits by which a payload can be recognised, but not guessed."""
        return hmac.digest(self._keys[0][1], b"payload\0" + payload, "sha256").hex()[:16]

    def _key_of(self, day: date) -> bytes:
        return next((key for since, key in self._keys if since <= day), self._keys[-1][1])


def keys_of(secret: bytes) -> list[tuple[date, bytes]]:
    """Return the keys of a secret with the day each begins on, the newest first.

    `ConfigurationError` names the line that cannot be read, never the key.
    """
    if _DATED.match(secret) is None:
        return [(date.min, secret)]
    keys = [_dated(line, number) for number, line in enumerate(secret.splitlines(), 1) if line.strip()]
    return sorted(keys, reverse=True)


def _dated(line: bytes, number: int) -> tuple[date, bytes]:
    match = _DATED.fullmatch(line.strip())
    try:
        since = date.fromisoformat(match[1].decode()) if match is not None else None
    except ValueError:
        since = None
    if match is None or since is None:
        raise ConfigurationError(f"The pseudonym keys, line {number}: write it as <date> <key>, 2026-04-02 …")
    if len(match[2]) < KEY_BYTES:
        raise ConfigurationError(f"The pseudonym keys, line {number}: the key is shorter than {KEY_BYTES} bytes")
    return since, match[2]


def _first_day(day: date, days: int) -> date:
    """The first day of the period of that many days that a day is in."""
    return date.fromordinal(max(1, day.toordinal() // days * days))


def _normalised(badge: object) -> str:
    if isinstance(badge, int) and not isinstance(badge, bool):
        return str(badge)
    text = badge.translate(_SEPARATORS).lower() if isinstance(badge, str) else ""
    if not text:
        raise WrongShape("the badge id is neither a whole number nor text")
    return text
