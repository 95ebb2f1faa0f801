"""What JavaScript makes of JSON values, as far as expressions can tell. None stands for both null and undefined."""

import math
import re
from decimal import Decimal
from itertools import zip_longest

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WITH_BASE = re.compile(r"0[xX][\da-fA-F]{1,256}|0[oO][0-7]{1,256}|0[bB][01]{1,1024}")
_EXPONENT = re.compile(r"e([+-])0+")
_SAFE_INTEGER = 2**53


def is_true(value: object) -> bool:
    """Whether a value counts as true: everything but null, false, 0, NaN and the empty text; also `[]` and `{}`."""
    return bool(value) or isinstance(value, list | dict)


def is_number(value: object) -> bool:
    """Whether a value is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: float) -> int | float | None:
    """A number as JSON has it: whole ones without fraction, None for NaN and the infinite ones."""
    if not math.isfinite(value):
        return None
    if isinstance(value, int):
        return value if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else float(value)
    return int(value) if value.is_integer() and abs(value) <= _SAFE_INTEGER else value


def number(value: object) -> float:
    """The number that an operator sees in a value; NaN where there is none."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        stripped = value.strip()
        if not stripped:
            return 0
        if _WITH_BASE.fullmatch(stripped):
            return int(stripped, 0)
        return float(stripped) if _NUMBER.fullmatch(stripped) else math.nan
    if isinstance(value, list):
        return number(text(value))
    return math.nan


def text(value: object) -> str:
    """The text of a value, as `String` makes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number_text(value)
    if isinstance(value, list):
        return ",".join("" if item is None else text(item) for item in value)
    return "undefined" if value is None else "[object Object]"


def is_same(left: object, right: object) -> bool:
    """`===`: of one type and equal. Arrays and objects are the same when they look the same."""
    if is_number(left) or is_number(right):
        return is_number(left) and is_number(right) and left == right
    return type(left) is type(right) and left == right


def is_equal(left: object, right: object) -> bool:
    """`==`: a text that is a number equals the number, true equals 1."""
    if left is None or right is None or type(left) is type(right):
        return left == right
    if isinstance(left, dict) or isinstance(right, dict):
        return False
    if isinstance(left, list) or isinstance(right, list):
        return text(left) == text(right)
    return number(left) == number(right)


def is_less(left: object, right: object, *, or_equal: bool = False) -> bool:
    """`<`, or `<=`: two texts by their characters, everything else by number."""
    if left is None or right is None:
        return False
    if isinstance(left, str) and isinstance(right, str):
        return left < right or (or_equal and left == right)
    first, second = number(left), number(right)
    return first < second or (or_equal and first == second)


def added(left: object, right: object) -> object:
    """`+`: texts joined if either is one (or an array or an object), else the sum."""
    if left is None or right is None:
        return None
    if isinstance(left, str | list | dict) or isinstance(right, str | list | dict):
        return text(left) + text(right)
    return plain(number(left) + number(right))


def int32(value: object) -> int:
    """The signed integer of 32 bits that bitwise operators see."""
    given = number(value)
    if not math.isfinite(given):
        return 0
    bits = int(given) & 0xFFFFFFFF
    return bits - 0x100000000 if bits & 0x80000000 else bits


def utf16(value: str) -> list[int]:
    """The code units of a text."""
    encoded = value.encode("utf-16-le", "surrogatepass")
    return [low | high << 8 for low, high in zip_longest(encoded[::2], encoded[1::2], fillvalue=0)]


def _number_text(value: float) -> str:
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if 1e-6 <= abs(value) < 1e-4:
        return format(Decimal(repr(value)), "f")
    return _EXPONENT.sub(r"e\1", repr(value))
