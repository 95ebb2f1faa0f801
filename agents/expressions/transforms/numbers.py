"""Transforms that make or take numbers."""

import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from agents.expressions.javascript import int32, is_number, is_same, number, plain, text

_DECIMALS_MAX = 100
_WHOLE = re.compile(r"\s*([+-]?\d+)")
_FRACTION = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")


def parseint(value: object, *_: object) -> int | float | None:
    """The whole number that the text of the value begins with."""
    found = _WHOLE.match(text(value))
    return None if found is None else plain(float(found[1]))


def parsefloat(value: object, *_: object) -> int | float | None:
    """The number that the text of the value begins with."""
    found = _FRACTION.match(text(value))
    return None if found is None else plain(float(found[1]))


def isnan(value: object = None, *_: object) -> bool:
    """Whether the value is no number, nor a text that is one."""
    return math.isnan(number(value))


def _rounded(rounding: Callable[[float], float]) -> Callable[..., Any]:
    def transform(value: object, *_: object) -> int | float | None:
        given = number(value)
        return plain(rounding(given)) if math.isfinite(given) else None

    return transform


def _half_up(value: float) -> float:
    below = math.floor(value)
    return below if value - below < 0.5 else below + 1


def tofixed(value: object, decimals: object = None, *_: object) -> str | None:
    """The number as text with so many decimals."""
    given, places = parsefloat(value), parseint(decimals)
    if given is None or places is None:
        return None
    if not 0 <= places <= _DECIMALS_MAX:
        raise ValueError(f"decimals must be 0 to {_DECIMALS_MAX}")
    return format(Decimal(given).quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP), "f")


def mapper(value: object, values: list[object], choices: list[object], *_: object) -> object:
    """The choice in the place that the value has among `values`."""
    return next((choice for known, choice in zip(values, choices, strict=False) if is_same(known, value)), None)


def thmapper(value: object, thresholds: list[object], choices: list[object], *_: object) -> object:
    """The choice of the first threshold that is not below the value."""
    given = number(value)
    return next((choice for most, choice in zip(thresholds, choices, strict=False) if given <= number(most)), None)


def bitwisemask(value: object, mask: object = None, operator: object = None, shift: object = None, *_: object) -> int:
    """The value and (`&`), or (`|`), exclusive-or (`^`) the mask, then shifted right by so many bits."""
    bits, other = int32(parseint(value) if operator in ("&", "|", "^") else value), int32(mask)
    masked = {"&": bits & other, "|": bits | other, "^": bits ^ other}.get(text(operator), bits)
    return masked >> (int32(shift) & 31)


def localestringnumber(value: object, locale: object = None, options: object = None, *_: object) -> str | None:
    """The number grouped by thousands in the manner of a language: en, es, fr, de, it, pt or ar-MA; en if not given.

    Of the options, `minimumFractionDigits` and `maximumFractionDigits` count.
    """
    if not is_number(value):
        return None
    chosen = options if isinstance(options, dict) else {}
    least = int(chosen.get("minimumFractionDigits", 0))
    most = int(chosen.get("maximumFractionDigits", max(least, 3)))
    grouping, point = _manner(text(locale) if locale else "en")
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP)
    whole, _point, fraction = format(exact, ",f").partition(".")
    kept = fraction.rstrip("0").ljust(least, "0")
    if grouping == "es" and len(whole.lstrip("-")) == len("1,000"):
        whole = whole.replace(",", "")  # Spanish groups from five digits on
    whole = whole.replace(",", _SEPARATORS[grouping])
    return f"{whole}{point}{kept}" if kept else whole


_SEPARATORS: Final = {"en": ",", "es": ".", "de": ".", "it": ".", "pt": ".", "ar": ".", "fr": "\u202f"}


def _manner(locale: str) -> tuple[str, str]:
    language = locale.partition("-")[0].lower()
    if language not in _SEPARATORS:
        raise ValueError(f"no locale {locale}")
    return language, "." if language == "en" else ","


TRANSFORMS: Final[dict[str, Callable[..., Any]]] = {
    "parseint": parseint,
    "parsefloat": parsefloat,
    "isnan": isnan,
    "floor": _rounded(math.floor),
    "ceil": _rounded(math.ceil),
    "round": _rounded(_half_up),
    "tofixed": tofixed,
    "mapper": mapper,
    "thmapper": thmapper,
    "bitwisemask": bitwisemask,
    "localestringnumber": localestringnumber,
}
