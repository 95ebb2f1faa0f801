"""Orders of strings by language: BCP 47 tags with Unicode extension keywords (RFC 6067), parameter `collation`.

    tag       = language [ "-" script ] [ "-" region ] *( "-" variant ) [ "-u" *( "-" key *( "-" value ) ) ]

A language without rules of its own is sorted by the root order of the Unicode collation algorithm, as CLDR has it.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from ngsi.errors import BadRequestData
from ngsi.names import show

ROOT = "und"

_TAG = re.compile(
    r"([a-z]{2,3}|root)(?:-([a-z]{4}))?(?:-([a-z]{2}|[0-9]{3}))?((?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)"
    r"(?:-u((?:-[a-z0-9]{2}(?:-[a-z0-9]{3,8})*)+))?"
)
_KEYWORD = re.compile(r"-([a-z0-9]{2})((?:-[a-z0-9]{3,8})*)")
_SWITCH = {"": True, "true": True, "false": False}

_SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "ks": ("strength", {"level1": 1, "level2": 2, "level3": 3, "level4": 4, "identic": 5}),
    "kc": ("caseLevel", _SWITCH),
    "kf": ("caseFirst", {"upper": "upper", "lower": "lower", "false": "off"}),
    "kn": ("numericOrdering", _SWITCH),
    "ka": ("alternate", {"shifted": "shifted", "noignore": "non-ignorable"}),
    "kk": ("normalization", _SWITCH),
    "kb": ("backwards", _SWITCH),
    "kv": ("maxVariable", {"punct": "punct", "space": "space"}),
}
"""Key → the setting it means and its values (UTS 35, collation settings)."""


@dataclass(frozen=True)
class Collation:
    """The `locales` to look for rules under, the closest first; `variant` names special rules (`co`) of theirs."""

    tag: str
    locales: tuple[str, ...]
    variant: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def parse(text: str) -> Collation:
    """The collation that a tag names; BadRequestData if it is none, or has a keyword that cannot be honoured."""
    found = _TAG.fullmatch(text.lower()) if text.isascii() else None
    if found is None:
        raise BadRequestData(
            f"collation {show(text)} is no language tag; write one such as fr, de-u-co-phonebk or und-u-ks-level1"
        )
    language, script, region, _, keywords = found.groups()
    variant: str | None = None
    settings: dict[str, Any] = {}
    for key, values in _KEYWORD.findall(keywords or ""):
        value = values.removeprefix("-")
        if key == "co":
            variant = None if value == "standard" else value
        elif key in _SETTINGS and value in _SETTINGS[key][1]:
            name, meanings = _SETTINGS[key]
            settings[name] = meanings[value]
        else:
            known = ", ".join(["co", *_SETTINGS])
            raise BadRequestData(f"collation {show(text)}: {key}{values} cannot be honoured; keywords are {known}")
    return Collation(text, tuple(_locales(language, script, region)), variant, settings)


def _locales(language: str, script: str | None, region: str | None) -> list[str]:
    if language in (ROOT, "root"):
        return []
    script = script and script.title()
    region = region and region.upper()
    ways = [(language, script, region), (language, region), (language, script), (language,)]
    return ["_".join(filter(None, way)) for way in ways if all(way)]
