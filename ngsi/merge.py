"""Writing over a part of what is there: Partial Attribute Update and Merge (clauses 5.6.4, 5.6.17 and 5.5.12).

Both work on the normalized JSON form: the stored instance is shown, the client's members are laid over it, and the
result is read again with all the checks of a new attribute. So a merged attribute is as valid as any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ngsi.attribute import ENTITY_MEMBERS, attribute_key, is_null, kind_and_members, read_instance, require_fitting
from ngsi.context import Context
from ngsi.datetimes import require_expiry
from ngsi.document import read_scopes, read_types
from ngsi.entity import Attributes, Entity, Instance, dataset
from ngsi.errors import BadRequestData, ResourceNotFound
from ngsi.merge_fragment import asks_for_removal, instance_fragments, without_nulls
from ngsi.names import show
from ngsi.patch import Patched, existing, stamped_over
from ngsi.representation import normalized
from ngsi.vocabulary import INNER_RESERVED_NAMES, NO_DATASET, NULL, VALUE_MEMBER, VALUE_MEMBERS

# Values that a merge goes into when both sides are objects; all others are replaced whole.
_MERGED_VALUES = frozenset({"value", "languageMap", "json"})


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """How a merge reads its fragment (clause 6.5.3.4).

    `simplified`: values are bare and keep the stored kind. `lang`: a string given for a LanguageProperty is the text of
    that language. `observed_at`: the new observedAt of merged instances that had one and are given none.
    """

    simplified: bool = False
    lang: str | None = None
    observed_at: str | None = None


def partial_update(
    name: str, key: str, body: Mapping[str, Any], context: Context, entity: Entity | None, now: str, entity_id: str
) -> Patched:
    """Partial Attribute Update (clause 5.6.4): members given overwrite those of the instance, the others stay."""
    known = existing(entity, entity_id)
    if body.get("datasetId") == NULL:
        raise BadRequestData(f"Attribute {show(name)}: a datasetId cannot be deleted; delete the instance")
    instance = _instance(known, key, body.get("datasetId", NO_DATASET))
    if instance is None:
        which = " with that datasetId" if key in known.attributes else ""
        raise ResourceNotFound(f"Entity {entity_id} has no attribute {show(name)}{which}; append it instead")
    body = _with_shown_names(body, context)
    _require_same_kind(name, instance, body)
    member = VALUE_MEMBER[instance["type"]]
    if is_null(body.get(member)):
        return _without(known, key, instance, now)
    over = {item: content for item, content in body.items() if item not in ("datasetId", "@context")}
    shown = {**normalized(instance, context, sysattrs=True), **over}
    kept = {item: content for item, content in shown.items() if not (item in over and asks_for_removal(content))}
    return _rewritten(known, key, instance, read_instance(name, kept, context), now)


def merge_entity(
    body: Mapping[str, Any], context: Context, options: MergeOptions, entity: Entity | None, now: str, entity_id: str
) -> Patched:
    """Merge Entity (clause 5.6.17): JSON Merge Patch on the NGSI-LD tree, urn:ngsi-ld:null deletes at any depth."""
    if entity is None:
        _require_readable(body, context)
    patched = Patched(existing(entity, entity_id))
    for name, content in body.items():
        if name in ENTITY_MEMBERS:
            continue
        key = attribute_key(name, context)
        for named, fragment in instance_fragments(name, content, simplified=options.simplified):
            assert patched.entity is not None
            step = _merge_attribute(patched.entity, name, key, named, fragment, context, options, now)
            patched.entity = step.entity
            patched.changes += step.changes
        assert patched.entity is not None
        require_fitting(name, key, patched.entity.attributes.get(key, []))
    assert patched.entity is not None
    patched.entity = _merge_members(patched.entity, body, context, now)
    return patched


def _require_readable(body: Mapping[str, Any], context: Context) -> None:
    """BadRequestData if an attribute of the fragment could not be added to any entity."""
    for name, content in body.items():
        if name not in ENTITY_MEMBERS:
            attribute_key(name, context)
            for _, fragment in instance_fragments(name, content):
                if not asks_for_removal(fragment):
                    read_instance(name, without_nulls(fragment), context)


def require_names(body: Mapping[str, Any], context: Context) -> None:
    """BadRequestData if a member of a fragment cannot name an attribute."""
    for name in body.keys() - ENTITY_MEMBERS:
        attribute_key(name, context)


def _merge_attribute(
    entity: Entity, name: str, key: str, named: str, fragment: object, context: Context, options: MergeOptions, now: str
) -> Patched:
    instance = _instance(entity, key, named)
    if instance is None:
        if asks_for_removal(fragment):
            return Patched(entity)
        new = read_instance(name, without_nulls(fragment), context)
        if named != NO_DATASET:
            new["datasetId"] = named
        merged = [*entity.attributes.get(key, []), stamped_over(new, None, now)]
        return Patched(
            replace(entity, attributes={**entity.attributes, key: merged}, modified_at=now), [("created", key, named)]
        )
    if asks_for_removal(fragment):
        return _without(entity, key, instance, now)
    members = _fragment_members(name, instance, fragment, options)
    merged_body = _merged_instance(name, normalized(instance, context, sysattrs=True), members, context)
    if options.observed_at and "observedAt" in instance and "observedAt" not in members:
        merged_body["observedAt"] = options.observed_at
    return _rewritten(entity, key, instance, read_instance(name, merged_body, context), now)


def _fragment_members(name: str, instance: Instance, fragment: object, options: MergeOptions) -> dict[str, Any]:
    """What a fragment says of an instance, as members of its normalized form."""
    kind = instance["type"]
    member = VALUE_MEMBER[kind]
    if kind == "LanguageProperty" and options.lang and not isinstance(fragment, dict):
        return {member: {options.lang: fragment}}
    if options.simplified:
        if isinstance(fragment, dict) and fragment.keys() == {member}:
            return fragment
        return {member: fragment}
    if isinstance(fragment, dict) and _has_members_only(fragment):
        return fragment
    inferred, members = kind_and_members(name, fragment)
    if inferred == "GeoProperty" and kind == "Property":
        return {"type": inferred, **members}
    return dict(members)


def _has_members_only(fragment: Mapping[str, Any]) -> bool:
    """Whether an object without value member speaks of the attribute (its metadata), and is no value itself."""
    return "type" not in fragment and not fragment.keys().isdisjoint(_METADATA) and VALUE_MEMBERS.isdisjoint(fragment)


_METADATA = frozenset({"observedAt", "unitCode", "datasetId", "expiresAt", "valueType", "objectType"})


def _merged_instance(name: str, shown: Any, over: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """The normalized instance with the members of a fragment merged into it."""
    over = _with_shown_names(over, context)
    kind = over.get("type", shown["type"])
    speaks_of_another_kind = not VALUE_MEMBERS.isdisjoint(over) and VALUE_MEMBER[shown["type"]] not in over
    if kind != shown["type"] or speaks_of_another_kind:
        replaced: dict[str, Any] = without_nulls(over)
        return replaced  # another kind takes the place of the whole instance
    merged = dict(shown)
    for member, content in over.items():
        if member in _MERGED_VALUES:
            merged[member] = _merged_value(merged.get(member), content)
        elif member in INNER_RESERVED_NAMES:
            merged[member] = content
            if content == NULL and member not in VALUE_MEMBERS:
                del merged[member]
        else:
            merged[member] = _merged_sub_attribute(f"{name}.{member}", merged.get(member, []), content, context)
            if not merged[member]:
                del merged[member]
    return merged


def _merged_sub_attribute(name: str, shown: Any, content: Any, context: Context) -> list[Any]:
    """The normalized instances of a sub-attribute, with what is said of each of them merged into it."""
    merged = {item.get("datasetId", NO_DATASET): item for item in (shown if isinstance(shown, list) else [shown])}
    for named, fragment in instance_fragments(name, content):
        if asks_for_removal(fragment):
            merged.pop(named, None)
        elif named in merged:
            _, members = kind_and_members(name, fragment)
            merged[named] = _merged_instance(name, merged[named], members, context)
        else:
            inferred, members = kind_and_members(name, without_nulls(fragment))
            merged[named] = {"type": inferred, **members}
    return list(merged.values())


def _with_shown_names(members: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """The members of a fragment of an attribute under the names that `normalized` shows them by."""
    named: dict[str, Any] = {}
    for member, content in members.items():
        if member == "@type":
            shown = "type"
        elif member in INNER_RESERVED_NAMES:
            shown = member
        else:
            shown = context.compact(context.expand(member))
        if shown in named:
            raise BadRequestData(f"{show(member)} stands twice in an attribute, under two names of the same IRI")
        named[shown] = content
    return named


def _merged_value(old: Any, new: Any) -> Any:
    """JSON Merge Patch (RFC 7396) with NGSI-LD Null in the place of null."""
    if not isinstance(new, dict):
        return new
    merged = dict(old) if isinstance(old, dict) else {}
    for name, content in new.items():
        if content == NULL:
            merged.pop(name, None)
        else:
            merged[name] = _merged_value(merged.get(name), content)
    return merged


def _require_same_kind(name: str, instance: Instance, body: Mapping[str, Any]) -> None:
    kind = instance["type"]
    given = body.get("type", kind)
    others = VALUE_MEMBERS & body.keys() - {VALUE_MEMBER[kind]}
    if given != kind or others:
        wish = f"make it a {show(given)}" if given != kind else f"give it {show(min(others))}"
        raise BadRequestData(f"Attribute {show(name)} is a {kind}; a partial update cannot {wish}. Replace it instead")


def _instance(entity: Entity, key: str, named: object) -> Instance | None:
    return next((item for item in entity.attributes.get(key, []) if dataset(item) == named), None)


def _rewritten(entity: Entity, key: str, old: Instance, new: Instance, now: str) -> Patched:
    if "datasetId" in old:
        new = {**new, "datasetId": old["datasetId"]}
    stamped = stamped_over(new, old, now)
    if stamped is old:
        return Patched(entity, updated=[key])
    instances = [stamped if item is old else item for item in entity.attributes[key]]
    return Patched(
        replace(entity, attributes={**entity.attributes, key: instances}, modified_at=now),
        [("updated", key, dataset(old))],
        [key],
    )


def _without(entity: Entity, key: str, gone: Instance, now: str) -> Patched:
    instances = [item for item in entity.attributes[key] if item is not gone]
    attributes: Attributes = {**entity.attributes, key: instances}
    if not instances:
        del attributes[key]
    return Patched(replace(entity, attributes=attributes, modified_at=now), [("deleted", key, dataset(gone))], [key])


def _merge_members(entity: Entity, body: Mapping[str, Any], context: Context, now: str) -> Entity:
    """Types are added, a scope is replaced or removed, an expiresAt likewise."""
    types = entity.types
    if "type" in body or "@type" in body:
        types = list(dict.fromkeys(types + read_types(body.get("type", body.get("@type")), context)))
    scopes = read_scopes(body, nulls=True)
    expires_at = entity.expires_at
    if "expiresAt" in body:
        given = body["expiresAt"]
        expires_at = None if given == NULL else require_expiry(given, "expiresAt of the entity")
    after = replace(entity, types=types, scopes=entity.scopes if scopes is None else scopes, expires_at=expires_at)
    return entity if after == entity else replace(after, modified_at=now)
