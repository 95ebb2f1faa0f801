"""Collations (`ngsi.collation`) in MongoDB's words. MongoDB brings ICU along; Python knows no order but code points.

A collation of a command holds for its comparisons of equality too. So entities are never looked for under one: their
sort keys are, which are then sent to be ranked.
"""

from collections.abc import Collection
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from ngsi.collation import Collation
from ngsi.errors import BadRequestData, TooComplexQuery
from ngsi.names import show

STRINGS_MAX_BYTES = 8_000_000
"""Of all strings to be ranked: they go in one command, which may have 16 MB."""

# The locales of MongoDB 6 to 8. Its "en" has no rules of its own, so it is the root order.
_LOCALE_NAMES = """
    af am ar as az be bg bn bo bs bs_Cyrl ca chr cs cy da de de_AT dsb dz ee el en en_US eo es et fa fa_AF fi fil fo
    fr fr_CA ga gl gu ha haw he hi hr hsb hu hy id ig is it ja ka kk kl km kn ko kok ky lb lkt ln lo lt lv mk ml mn mr
    ms mt my nb ne nl nn om or pa pl ps pt ro ru se si sk sl smn sq sr sr_Latn sv sw ta te th to tr ug uk ur vi wae yi
    yo zh zh_Hant zu
"""
_LOCALES = frozenset(_LOCALE_NAMES.split())
_ROOT = "en"
_ANYWHERE = {"search": "search", "emoji": "emoji", "eor": "eor"}
_VARIANTS: dict[str, tuple[str, frozenset[str]]] = {
    "compat": ("compat", frozenset({"ar"})),
    "dict": ("dictionary", frozenset({"si"})),
    "phonebk": ("phonebook", frozenset({"de", "de_AT"})),
    "trad": ("traditional", frozenset({"bn", "es", "fi", "kn", "vi"})),
    "searchjl": ("searchjl", frozenset({"ko"})),
    "unihan": ("unihan", frozenset({"ja", "ko", "zh", "zh_Hant"})),
    "pinyin": ("pinyin", frozenset({"zh_Hant"})),
    "stroke": ("stroke", frozenset({"zh"})),
    "zhuyin": ("zhuyin", frozenset({"zh", "zh_Hant"})),
    "gb2312": ("gb2312han", frozenset({"zh", "zh_Hant"})),
    "big5han": ("big5han", frozenset({"zh", "zh_Hant"})),
}
"""Value of the keyword `co` → MongoDB's name of it, and the locales that have such rules."""
_OWN_VARIANTS = frozenset({("zh", "pinyin"), ("zh_Hant", "stroke")})
"""What these are sorted by anyway."""


def translate(collation: Collation) -> dict[str, Any]:
    """MongoDB's collation document; BadRequestData where MongoDB has no rules for the language or variant."""
    locale = next((name for name in collation.locales if name in _LOCALES), None)
    if locale is None and collation.locales:
        raise BadRequestData(f"collation {show(collation.tag)}: this language is not known here; und is the root order")
    locale = locale or _ROOT
    variant = collation.variant
    if variant is not None and (locale, variant) not in _OWN_VARIANTS:
        name, locales = (_ANYWHERE[variant], {locale}) if variant in _ANYWHERE else _VARIANTS.get(variant, ("", ()))
        if locale not in locales:
            raise BadRequestData(f"collation {show(collation.tag)}: co-{variant} is not known here for the language")
        locale += f"@collation={name}"
    return {"locale": locale, "strength": 3, **collation.settings}


async def ranks(
    database: AsyncDatabase[dict[str, Any]], strings: Collection[str], collation: dict[str, Any], timeout_ms: int
) -> dict[str, int]:
    """A number for each string, in their order under the collation; the same for strings that are equal under it."""
    if sum(len(text.encode()) + 32 for text in strings) > STRINGS_MAX_BYTES:
        raise TooComplexQuery("There is too much text to be put in order under a collation; select fewer entities")
    if not strings:
        return {}
    cursor = await database.aggregate(
        [
            {"$documents": [{"text": {"$literal": text}} for text in strings]},
            {"$setWindowFields": {"sortBy": {"text": 1}, "output": {"rank": {"$denseRank": {}}}}},
        ],
        collation=collation,
        maxTimeMS=timeout_ms,
    )
    return {item["text"]: item["rank"] async for item in cursor}
