"""Order of DateTimes, Dates and Times as conditions on the texts that MongoDB holds, whatever their spelling.

Text order is time order down to the seconds. Within one second "." or "," and the digits of a fraction, if any, come
before the "Z", so `…00Z` is the last text of its second and the first moment of it; the conditions put that right.
"""

from typing import Any

from ngsi.moments import SEPARATORS, Moment

Clause = dict[str, Any]
"""Conditions on one field, all of which a text must meet."""

_AFTER_Z = "["
_FIXED_DIGITS = 3


def moment_clauses(sign: str, moment: Moment, *, fixed: bool) -> list[Clause]:
    """The clauses of which a text of the moment's kind meets one exactly when it is `<`, `<=`, `>` or `>=` the moment.

    `fixed`: the texts are all YYYY-MM-DDThh:mm:ss.mmmZ, which makes it one clause that an index can serve. What texts
    of other shapes meet is up to the caller.
    """
    if moment.kind == "Date":
        return [{{"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}[sign]: moment.base}]
    if fixed and moment.kind == "DateTime":
        return [_fixed(sign, moment)]
    clauses = _before(moment) if sign in ("<", "<=") else _after(moment)
    return [*clauses, {"$in": list(moment.spellings)}] if sign in ("<=", ">=") else clauses


def _fixed(sign: str, moment: Moment) -> Clause:
    start = f"{moment.base}.{moment.fraction[:_FIXED_DIGITS].ljust(_FIXED_DIGITS, '0')}Z"
    if len(moment.fraction) > _FIXED_DIGITS:  # the moment is after `start`, the text before it, and before the next one
        return {"$lte": start} if sign in ("<", "<=") else {"$gt": start}
    return {{"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}[sign]: start}


def _before(moment: Moment) -> list[Clause]:
    earlier_second: Clause = {"$lt": moment.base}
    if not moment.fraction:
        return [earlier_second]
    within = [_second(moment, mark) for mark in SEPARATORS]
    return [
        earlier_second,
        {"$in": [f"{moment.base}Z", *_shorter(moment)]},
        *({"$gte": start, "$lt": start + moment.fraction} for start, _ in within),
    ]


def _after(moment: Moment) -> list[Clause]:
    later_second: Clause = {"$gte": moment.base + _AFTER_Z}
    not_after = [*moment.spellings, *_shorter(moment)]
    within = [_second(moment, mark) for mark in SEPARATORS]
    return [
        later_second,
        *({"$gt": start + moment.fraction, "$lt": end, "$nin": not_after} for start, end in within),
    ]


def _second(moment: Moment, mark: str) -> tuple[str, str]:
    """Where the texts with a fraction behind this mark begin, and the first text after them."""
    return moment.base + mark, moment.base + chr(ord(mark) + 1)


def _shorter(moment: Moment) -> list[str]:
    """Earlier moments of the same second that sort after it: .2Z, when the moment is .25Z."""
    fraction = moment.fraction
    return [f"{moment.base}{mark}{fraction[:digits]}Z" for mark in SEPARATORS for digits in range(1, len(fraction))]
