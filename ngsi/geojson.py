"""Entities as GeoJSON Features (clauses 4.5.16 and 4.5.17), made from any of their other representations."""

import re
from typing import Any

from ngsi.geo import is_geometry
from ngsi.vocabulary import NO_DATASET

_WITHOUT_CONTEXT = re.compile(r'(?:^|,)\s*body\s*=\s*"?json"?\s*(?:[;,]|$)', re.IGNORECASE)


def feature(shown: dict[str, Any], geometry_property: str) -> dict[str, Any]:
    """A Feature of an entity as it would be shown; `geometry_property` is the name its geometry goes by there."""
    made: dict[str, Any] = {"id": shown.pop("id")} if "id" in shown else {}
    return made | {"type": "Feature", "geometry": _geometry(shown.get(geometry_property)), "properties": shown}


def context_in_body(prefer: str) -> bool:
    """Whether the @context belongs in the body, by the Prefer header ("" if there is none; clause 6.3.6)."""
    return _WITHOUT_CONTEXT.search(prefer) is None


def _geometry(attribute: Any) -> Any:
    """The geometry of an attribute: of its default instance, or of the only one; None if it is not a GeoProperty."""
    if isinstance(attribute, list):
        default = (item for item in attribute if isinstance(item, dict) and "datasetId" not in item)
        attribute = next(default, None)
    if not isinstance(attribute, dict):
        return None
    if isinstance(attribute.get("dataset"), dict):
        attribute = attribute["dataset"].get(NO_DATASET)
    if is_geometry(attribute):
        return attribute
    value = attribute.get("value") if isinstance(attribute, dict) else None
    return value if is_geometry(value) and attribute.get("type", "GeoProperty") == "GeoProperty" else None
