"""Entities as clients read them: normalized, concise and simplified (clauses 4.5.4 to 4.5.24, 5.2.4 to 5.2.8)."""

from collections.abc import Callable
from typing import Any, Literal

from ngsi.context import Context
from ngsi.entity import Entity, Instance, dataset
from ngsi.geo import is_geometry
from ngsi.vocabulary import NULL, VALUE_MEMBER, VALUE_MEMBERS

Form = Literal["normalized", "concise", "simplified"]

_TIMESTAMPS = ("createdAt", "modifiedAt", "expiresAt")
# Members whose content is held in another form than it is shown in.
_HELD_OTHERWISE = frozenset({"attrs", "vocab", "objectList", "objectType", "valueType", "entityTypeSealed"})


def render(entity: Entity, context: Context, form: Form = "normalized", *, sysattrs: bool = False) -> dict[str, Any]:
    """The entity as a JSON object with the names of `context`, without `@context`.

    `sysattrs` adds createdAt, modifiedAt and expiresAt, to the entity and (but for simplified) to every instance.
    """
    shown: dict[str, Any] = {"id": entity.id, "type": _one_or_all([context.compact(key) for key in entity.types])}
    if entity.scopes:
        shown["scope"] = _one_or_all(entity.scopes)
    if sysattrs:
        shown["createdAt"] = entity.created_at
        shown["modifiedAt"] = entity.modified_at
        if entity.expires_at is not None:
            shown["expiresAt"] = entity.expires_at
    compact = context.compact
    if form == "simplified":
        for key, instances in entity.attributes.items():
            shown[compact(key)] = _simplified_attribute(instances, context)
        return shown
    show = _normalized_attribute if form == "normalized" else _concise_attribute
    for key, instances in entity.attributes.items():
        shown[compact(key)] = show(instances, context, sysattrs)
    return shown


def _normalized_attribute(instances: list[Instance], context: Context, sysattrs: bool) -> Any:
    if len(instances) == 1:
        return normalized(instances[0], context, sysattrs)
    return [normalized(instance, context, sysattrs) for instance in instances]


def _concise_attribute(instances: list[Instance], context: Context, sysattrs: bool) -> Any:
    """A lone instance becomes its bare value where that reads back the same; in an array it would pass for an item."""
    if len(instances) > 1:
        return [_concise(instance, context, sysattrs) for instance in instances]
    instance = instances[0]
    shown = _concise(instance, context, sysattrs)
    if len(shown) == 1 and _reads_back_bare(instance["type"], instance):
        return shown["value"]
    return shown


def normalized(instance: Instance, context: Context, sysattrs: bool = False) -> dict[str, Any]:
    """One instance in normalized form."""
    shown = instance.copy()
    if not sysattrs:
        for member in _TIMESTAMPS:
            shown.pop(member, None)
    if not _HELD_OTHERWISE.isdisjoint(shown):
        _show_held_members(shown, context)
        attributes = shown.pop("attrs", None)
        if attributes:
            for key, instances in attributes.items():
                shown[context.compact(key)] = _normalized_attribute(instances, context, sysattrs)
        if "objectList" in shown:
            # NGSI-LD Null, in notifications, is no entity that is pointed to.
            shown["objectList"] = [uri if uri == NULL else {"object": uri} for uri in shown["objectList"]]
    return shown


def _concise(instance: Instance, context: Context, sysattrs: bool) -> dict[str, Any]:
    """Without `type`, which the value member tells, but for a plain value that looks like a geometry."""
    kind = instance["type"]
    shown = {member: content for member, content in instance.items() if sysattrs or member not in _TIMESTAMPS}
    _show_held_members(shown, context)
    attributes = shown.pop("attrs", {})
    for key, instances in attributes.items():
        shown[context.compact(key)] = _concise_attribute(instances, context, sysattrs)
    is_property_with_geometry = kind == "Property" and is_geometry(shown["value"])
    if not is_property_with_geometry:
        del shown["type"]
    return shown


def _reads_back_bare(kind: str, instance: Instance) -> bool:
    """Whether a bare value is read as the same attribute: no object or array that looks like an attribute itself."""
    if kind == "GeoProperty":
        return True
    if kind != "Property":
        return False
    value = instance["value"]
    if isinstance(value, dict):
        return "type" not in value and "@type" not in value and VALUE_MEMBERS.isdisjoint(value)
    return not (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _simplified_attribute(instances: list[Instance], context: Context) -> Any:
    if len(instances) == 1:
        return _simplified(instances[0], context)
    return {"dataset": {dataset(instance): _simplified(instance, context) for instance in instances}}


def _simplified(instance: Instance, context: Context) -> Any:
    kind = instance["type"]
    member = VALUE_MEMBER[kind]
    if kind in ("LanguageProperty", "JsonProperty"):
        return {member: instance[member]}
    if kind == "VocabProperty":
        return {member: _compacted(instance[member], context.compact_iri)}
    return instance[member]


def _show_held_members(shown: dict[str, Any], context: Context) -> None:
    if "vocab" in shown:
        shown["vocab"] = _compacted(shown["vocab"], context.compact_iri)
    if "valueType" in shown:
        shown["valueType"] = context.compact_iri(shown["valueType"])
    if "entityTypeSealed" in shown:
        shown["entityTypeSealed"] = context.compact(shown["entityTypeSealed"])
    if "objectType" in shown:
        shown["objectType"] = _one_or_all([context.compact(key) for key in shown["objectType"]])


def _compacted(names: str | list[str], compact: Callable[[str], str]) -> str | list[str]:
    return [compact(name) for name in names] if isinstance(names, list) else compact(names)


def _one_or_all(items: list[str]) -> str | list[str]:
    return items[0] if len(items) == 1 else items
