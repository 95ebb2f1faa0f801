"""Transforms of texts. Places and lengths count characters; patterns are those of RE2, in time linear to the text."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote

import re2  # type: ignore[import-untyped]  # the wheel ships no types

from agents.expressions.javascript import int32, text, utf16

_LENGTH_MAX = 1_000_000
_UNESCAPED: Final = "A-Za-z0-9;,/?:@&=+$-_.!~*'()#"
_REFERENCE = re.compile(r"\$(\$|&|\d{1,2})")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")


def index_of(value: object, wanted: object = None, *_: object) -> int:
    """The place of a text in the value, -1 if it is not there."""
    return text(value).find(text(wanted))


def length(value: object, *_: object) -> int:
    """The number of characters."""
    return len(text(value))


def trim(value: object, *_: object) -> str:
    """Without blanks at both ends."""
    return text(value).strip()


def substr(value: object, start: object = None, count: object = None, *_: object) -> str:
    """So many characters from a place on; a negative place counts from the end."""
    whole = text(value)
    first = int32(start)
    first = max(0, len(whole) + first) if first < 0 else first
    return whole[first:] if count is None else whole[first : first + max(0, int32(count))]


def tostring(value: object, *_: object) -> str:
    """The value as text."""
    return text(value)


def touppercase(value: object, *_: object) -> str:
    """In capital letters."""
    return text(value).upper()


def tolowercase(value: object, *_: object) -> str:
    """In small letters."""
    return text(value).lower()


def split(value: str, separator: object = None, *_: object) -> list[str]:
    """The parts between the separators."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    if separator is None:
        return [value]
    between = text(separator)
    return value.split(between) if between else list(value)


def replacestr(value: str, wanted: object = None, by: object = None, *_: object) -> str:
    """With the first occurrence of a text replaced."""
    return _replaced(value, re.escape(text(wanted)), by, 1)


def replaceallstr(value: str, wanted: object = None, by: object = None, *_: object) -> str:
    """With every occurrence of a text replaced."""
    return _replaced(value, re.escape(text(wanted)), by, 0)


def replaceregexp(value: str, pattern: object = None, by: object = None, *_: object) -> str | None:
    """With the first match of a pattern replaced; `$1` stands for the first group, `$&` for the match."""
    return _replaced(value, text(pattern), by, 1)


def replaceallregexp(value: str, pattern: object = None, by: object = None, *_: object) -> str | None:
    """With every match of a pattern replaced."""
    return _replaced(value, text(pattern), by, 0)


def urlencode(value: object, *_: object) -> str:
    """With percent-encoding for what no URL may hold."""
    return quote(text(value), safe=_UNESCAPED)


def urldecode(value: object, *_: object) -> str | None:
    """Without percent-encoding; None where it is broken."""
    try:
        return unquote(text(value), errors="strict")
    except UnicodeDecodeError:
        return None


def hextostring(value: object, *_: object) -> str | None:
    """The text whose UTF-8 bytes the hexadecimal digits are."""
    if not isinstance(value, str) or _HEX.fullmatch(value) is None:
        return None
    return bytes.fromhex(value).decode("utf-8", "replace")


def hash_(value: object, *_: object) -> str:
    """Eight hexadecimal digits made of the text; no protection of what they stand for."""
    total = 0
    for unit in utf16(text(value)):
        total = int32((total << 5) - total + unit)
    return f"{abs(total):08X}"


def _replaced(value: str, pattern: str, by: object, count: int) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    template = text(by)
    matcher = _matcher(pattern)
    if count == 0 and (1 + len(value)) * (1 + len(template)) > _LENGTH_MAX:
        raise ValueError("the text could become too long")
    return str(matcher.sub(lambda match: _REFERENCE.sub(lambda sign: _part(match, sign[1]), template), value, count))


def _part(match: Any, sign: str) -> str:
    if sign == "$":
        return "$"
    if sign == "&":
        return str(match[0])
    number = int(sign)
    return str(match[number] or "") if 0 < number <= len(match.groups()) else f"${sign}"


@lru_cache(maxsize=1000)
def _matcher(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError("the pattern cannot be read") from error


TRANSFORMS: Final[dict[str, Callable[..., Any]]] = {
    "indexOf": index_of,
    "length": length,
    "trim": trim,
    "substr": substr,
    "tostring": tostring,
    "touppercase": touppercase,
    "tolowercase": tolowercase,
    "split": split,
    "replacestr": replacestr,
    "replaceallstr": replaceallstr,
    "replaceregexp": replaceregexp,
    "replaceallregexp": replaceallregexp,
    "urlencode": urlencode,
    "urldecode": urldecode,
    "hextostring": hextostring,
    "hash": hash_,
}
