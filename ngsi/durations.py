"""Durations of ISO 8601 such as P1D or PT1H30M, in seconds. A year counts as 365 days, a month as 30."""

import re

from ngsi.errors import BadRequestData
from ngsi.names import show

_NUMBER = r"(\d{1,9}(?:[.,]\d{1,9})?)"
_DURATION = re.compile(
    rf"P(?=[\dT])(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_DAY_S = 86_400
_UNITS_S = (365 * _DAY_S, 30 * _DAY_S, 7 * _DAY_S, _DAY_S, 3600, 60, 1)


def require_duration_s(text: object, what: str) -> float:
    """The seconds that a duration lasts; BadRequestData naming `what` if it is none."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BadRequestData(f"{what} {show(text)} is not a duration of ISO 8601; write one such as PT10M")
    return sum(
        float(number.replace(",", ".")) * unit_s
        for number, unit_s in zip(match.groups(), _UNITS_S, strict=True)
        if number is not None
    )
