"""The language filter, parameter `lang` (clause 4.15): the text of a LanguageProperty in the language asked for.

    lang  = range *( "," range )
    range = ( tag / "*" ) [ ";q=" weight ]              ; as Accept-Language (RFC 9110), weight 1 by default

A range finds the tag itself, else the tag cut from behind (`nl-BE`: `nl`), else a longer tag that starts so (`en`:
`en-US`). If no range finds any: the text without language (`@none`), else that of any language.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ngsi.entity import Attributes, Entity, Instance
from ngsi.errors import BadRequestData
from ngsi.names import show
from ngsi.vocabulary import NO_DATASET

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*|@none)\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?")


def parse(text: str) -> list[str]:
    """The ranges in lower case, the most wanted first; BadRequestData if it is no language filter."""
    weighted: list[tuple[float, str]] = []
    for item in text.split(","):
        found = _RANGE.fullmatch(item)
        if found is None:
            raise BadRequestData(
                f"lang {show(text)} is no list of languages; write it as in fr or nl-BE,nl;q=0.7,*;q=0.1"
            )
        weighted.append((float(found[2] or 1), found[1].lower()))
    # sorted() is stable: equally wanted ranges stay in their order.
    return [wanted for weight, wanted in sorted(weighted, key=lambda item: -item[0]) if weight > 0]


def choose(texts: Mapping[str, Any], ranges: Sequence[str]) -> str:
    """The key of `texts`, which is not empty, that suits the ranges best."""
    tags = {tag.lower(): tag for tag in texts}
    for wanted in ranges:
        found = _lookup(tags, wanted)
        if found is not None:
            return found
    return NO_DATASET if NO_DATASET in texts else next(iter(texts))


def _lookup(tags: Mapping[str, str], wanted: str) -> str | None:
    if wanted == "*":
        return next((tag for tag in tags.values() if tag != NO_DATASET), None)
    shorter = wanted
    while shorter:
        if shorter in tags:
            return tags[shorter]
        shorter = shorter.rpartition("-")[0]
    return next((tag for lower, tag in tags.items() if lower.startswith(f"{wanted}-")), None)


def in_language(entity: Entity, ranges: Sequence[str]) -> Entity:
    """The entity with every LanguageProperty, at any depth, as a Property whose value is the text chosen."""
    return replace(entity, attributes=_in_language(entity.attributes, ranges))


def _in_language(attributes: Attributes, ranges: Sequence[str]) -> Attributes:
    return {key: [_instance(instance, ranges) for instance in instances] for key, instances in attributes.items()}


def _instance(instance: Instance, ranges: Sequence[str]) -> Instance:
    if "attrs" in instance:
        instance = {**instance, "attrs": _in_language(instance["attrs"], ranges)}
    texts = instance.get("languageMap") if instance["type"] == "LanguageProperty" else None
    if not texts:
        return instance
    tag = choose(texts, ranges)
    chosen: Instance = {"type": "Property", "value": texts[tag], "lang": tag}
    return chosen | {member: content for member, content in instance.items() if member not in ("type", "languageMap")}
