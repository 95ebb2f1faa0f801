"""DateTime texts (clause 4.6.3): always UTC with a literal Z, at most six fraction digits.

Times are held as text: system timestamps in one fixed form, whose text order is their time order, and a client's times
as the client wrote them, because they are given back unchanged.
"""

import re
from datetime import UTC, datetime

from ngsi.errors import BadRequestData
from ngsi.names import show

_DATETIME = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:[.,][0-9]{1,6})?Z"
)

_FRACTION_DIGITS = 3


def is_datetime(text: object) -> bool:
    """Whether the text is a DateTime of clause 4.6.3."""
    return isinstance(text, str) and _DATETIME.fullmatch(text) is not None and _has_day(text)


def _has_day(text: str) -> bool:
    """Whether the calendar has the day of a text of the right shape: every month has the first 28, but no year 0."""
    if text[8:10] <= "28" and not text.startswith("0000"):
        return True
    try:
        parse(text)
    except ValueError:
        return False
    return True


def require_datetime(text: object, what: str) -> str:
    """The text, with a dot before the fraction, if it is a DateTime; otherwise BadRequestData naming `what`."""
    if not isinstance(text, str) or not is_datetime(text):
        raise BadRequestData(f"{what} {show(text)} is not a UTC DateTime; write it as 2026-03-01T08:30:00.250Z")
    return text.replace(",", ".") if "," in text else text


def require_expiry(text: object, what: str) -> str:
    """An expiresAt (clause 4.5.1) in one of two spellings, without fraction or with three digits: see `fixed`."""
    known = require_datetime(text, what)
    whole, dot, fraction = known[:-1].partition(".")
    return f"{whole}.{fraction[:_FRACTION_DIGITS].ljust(_FRACTION_DIGITS, '0')}Z" if dot else known


def fixed(expiry: str) -> str:
    """A moment of `require_expiry` in the fixed form of system timestamps."""
    return expiry if "." in expiry else f"{expiry[:-1]}.000Z"


def system_text(moment: datetime) -> str:
    """The fixed form of system timestamps, YYYY-MM-DDThh:mm:ss.mmmZ, of an aware moment."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(text: str) -> datetime:
    """The aware moment a DateTime text means; a leap second counts as the second before it."""
    plain = text.replace(",", ".").replace(":60", ":59")
    return datetime.fromisoformat(plain)
