"""What each write operation does to one entity: pure functions from a state to the next one (clauses 5.6.1 to 5.6.18).

A *patch* takes the entity (None where there is none) and the time of the write and gives a `Patched`, or raises the
NgsiError that the caller is to be told. It never changes the entity it was given.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ngsi.attribute import is_deletion
from ngsi.changes import AttributeChange
from ngsi.document import Fragment
from ngsi.entity import Attributes, Entity, Instance, dataset
from ngsi.errors import AlreadyExists, ResourceNotFound
from ngsi.vocabulary import NO_DATASET, NULL


@dataclass(slots=True)
class NotUpdated:
    """An attribute that was left as it is, and why (UpdateResult, clause 5.2.18)."""

    attribute: str
    reason: str


@dataclass(slots=True)
class Patched:
    """The outcome of a patch: the state after it, what changed, and what was refused.

    `entity` is the very object that the patch was given when nothing changed, None when there is none any more.
    `is_new`: there was none before.
    """

    entity: Entity | None
    changes: list[AttributeChange] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    not_updated: list[NotUpdated] = field(default_factory=list)
    is_new: bool = False


Patch = Callable[[Entity | None, str], Patched]
"""(entity or None, time of the write) → Patched; raises NgsiError."""


def create(fragment: Fragment, entity: Entity | None, now: str) -> Patched:
    """Create Entity (clause 5.6.1): AlreadyExists if it does."""
    if entity is not None:
        raise AlreadyExists(f"Entity {entity.id} exists already; update it, or delete it first")
    return Patched(_new_entity(fragment, now), is_new=True)


def replace_entity(fragment: Fragment, entity: Entity | None, now: str) -> Patched:
    """The whole entity anew, or created if there is none (clause 5.6.8, batch upsert in replace mode).

    createdAt is kept, also that of every attribute instance that the new version still has.
    """
    if entity is None:
        return Patched(_new_entity(fragment, now), is_new=True)
    attributes: Attributes = {}
    changes: list[AttributeChange] = []
    for key, instances in fragment.attributes.items():
        old = entity.attributes.get(key, [])
        attributes[key], changed = _overwritten(key, old, instances, now)
        changes += changed
        kept = {dataset(instance) for instance in instances}
        changes += [("deleted", key, dataset(gone)) for gone in old if dataset(gone) not in kept]
        attributes[key] = [instance for instance in attributes[key] if dataset(instance) in kept]
    for key in entity.attributes.keys() - fragment.attributes.keys():
        changes += [("deleted", key, dataset(gone)) for gone in entity.attributes[key]]
    types = fragment.types or entity.types
    scopes = fragment.scopes or []
    if not changes and (types, scopes, fragment.expires_at) == (entity.types, entity.scopes, entity.expires_at):
        return Patched(entity)
    return Patched(Entity(entity.id, types, entity.created_at, now, attributes, scopes, fragment.expires_at), changes)


def append_attributes(fragment: Fragment, overwrite: bool, entity: Entity | None, now: str, entity_id: str) -> Patched:
    """Append Attributes (clause 5.6.3): missing instances are added, present ones replaced or left."""
    known = existing(entity, entity_id)
    scopes = fragment.scopes
    if scopes is not None and not overwrite:
        scopes = list(dict.fromkeys(known.scopes + scopes))
    return _written(known, fragment, now, overwrite=overwrite, scopes=scopes)


def update_attributes(fragment: Fragment, entity: Entity | None, now: str, entity_id: str) -> Patched:
    """Update Attributes (clause 5.6.2): instances are replaced, added, or deleted by NGSI-LD Null.

    A scope replaces the scope that the entity has; where it has none, the scope is reported as not updated.
    """
    known = existing(entity, entity_id)
    scopes = fragment.scopes
    if scopes and not known.scopes:
        patched = _written(known, fragment, now, overwrite=True, scopes=None)
        patched.not_updated.append(NotUpdated("scope", f"Entity {entity_id} has no scope to update; append it instead"))
        return patched
    return _written(known, fragment, now, overwrite=True, scopes=scopes)


def upsert(fragment: Fragment, entity: Entity | None, now: str) -> Patched:
    """Batch upsert in update mode (clause 5.6.9): create, or update the attributes of the entity that exists."""
    if entity is None:
        return Patched(_new_entity(fragment, now), is_new=True)
    return _written(entity, fragment, now, overwrite=True, scopes=fragment.scopes)


def delete_entity(entity: Entity | None, now: str, entity_id: str) -> Patched:
    """Delete Entity (clause 5.6.6)."""
    existing(entity, entity_id)
    return Patched(None)


def delete_attribute(
    key: str, dataset_id: str, delete_all: bool, entity: Entity | None, now: str, entity_id: str
) -> Patched:
    """Delete Attribute (clause 5.6.5): the instance named by `dataset_id` (`@none` the default one), or all of them."""
    known = existing(entity, entity_id)
    if key == "ngsi-ld:scope":
        if not known.scopes:
            raise ResourceNotFound(f"Entity {entity_id} has no scope")
        return Patched(replace(known, scopes=[], modified_at=now))
    instances = known.attributes.get(key, [])
    gone = [instance for instance in instances if delete_all or dataset(instance) == dataset_id]
    if not gone:
        which = "" if dataset_id == NO_DATASET else f" with datasetId {dataset_id}"
        raise ResourceNotFound(f"Entity {entity_id} has no attribute {key}{which}")
    attributes = dict(known.attributes)
    kept = [instance for instance in instances if instance not in gone]
    if kept:
        attributes[key] = kept
    else:
        del attributes[key]
    changes: list[AttributeChange] = [("deleted", key, dataset(instance)) for instance in gone]
    return Patched(replace(known, attributes=attributes, modified_at=now), changes)


def replace_attribute(
    name: str, key: str, instance: Instance, entity: Entity | None, now: str, entity_id: str
) -> Patched:
    """Replace Attribute (clause 5.6.19): the instance of that datasetId anew; it must exist."""
    known = existing(entity, entity_id)
    if not _present(known.attributes.get(key, []), [instance]):
        which = " with that datasetId" if key in known.attributes else ""
        raise ResourceNotFound(f"Entity {entity_id} has no attribute {name}{which}; append it instead")
    return _written(known, Fragment(None, None, {key: [instance]}), now, overwrite=True, scopes=None)


def replace_existing(fragment: Fragment, entity: Entity | None, now: str, entity_id: str) -> Patched:
    """Replace Entity (clause 5.6.18): all of an entity that exists anew; types stay if the body has none."""
    return replace_entity(fragment, existing(entity, entity_id), now)


def existing(entity: Entity | None, entity_id: str) -> Entity:
    """The entity; ResourceNotFound if there is none."""
    if entity is None:
        raise ResourceNotFound(f"Entity {entity_id} does not exist")
    return entity


def _new_entity(fragment: Fragment, now: str) -> Entity:
    attributes = {
        key: [_stamped(instance, None, now) for instance in instances]
        for key, instances in fragment.attributes.items()
        if not any(is_deletion(instance) for instance in instances)
    }
    return Entity(
        fragment.id or "", fragment.types or [], now, now, attributes, fragment.scopes or [], fragment.expires_at
    )


def _written(entity: Entity, fragment: Fragment, now: str, *, overwrite: bool, scopes: list[str] | None) -> Patched:
    """The entity with the fragment's instances, types and (unless None) scopes written over it."""
    attributes = entity.attributes.copy()
    patched = Patched(entity)
    for key, instances in fragment.attributes.items():
        old = entity.attributes.get(key, [])
        kept = set() if overwrite else _present(old, instances)
        if kept:
            patched.not_updated.append(NotUpdated(key, _exists_already(kept)))
            instances = [instance for instance in instances if dataset(instance) not in kept]
            if not instances:
                continue
        new, changed = _overwritten(key, old, instances, now)
        patched.changes += changed
        if not kept:
            patched.updated.append(key)
        if new:
            attributes[key] = new
        else:
            attributes.pop(key, None)
    types = entity.types
    if fragment.types and not set(fragment.types) <= set(types):
        types = list(dict.fromkeys(types + fragment.types))
    if scopes is None:
        scopes = entity.scopes
    expires_at = entity.expires_at if fragment.expires_at is None else fragment.expires_at
    if expires_at == NULL:
        expires_at = None
    if patched.changes or (types, scopes, expires_at) != (entity.types, entity.scopes, entity.expires_at):
        patched.entity = Entity(entity.id, types, entity.created_at, now, attributes, scopes, expires_at)
    return patched


def _present(old: list[Instance], new: list[Instance]) -> set[str]:
    """The datasetIds that the old instances and the new ones share."""
    return {dataset(instance) for instance in old} & {dataset(instance) for instance in new}


def _exists_already(datasets: set[str]) -> str:
    named = ", ".join(sorted(datasets - {NO_DATASET}))
    return f"The attribute exists{f' (datasetId {named})' if named else ''}, and noOverwrite was asked for"


def _overwritten(
    key: str, old: list[Instance], new: list[Instance], now: str
) -> tuple[list[Instance], list[AttributeChange]]:
    """The instances of one attribute after the new ones were written over the old ones, and what changed."""
    instances = old
    changes: list[AttributeChange] = []
    for instance in new:
        name = instance.get("datasetId", NO_DATASET)
        position = _position(instances, name)
        if is_deletion(instance):
            if position is not None:
                instances = instances[:position] + instances[position + 1 :]
                changes.append(("deleted", key, name))
        elif position is None:
            instances = [*instances, _stamped(instance, None, now)]
            changes.append(("created", key, name))
        elif not _says_the_same(instances[position], instance):
            stamped = _stamped(instance, instances[position], now)
            instances = [*instances[:position], stamped, *instances[position + 1 :]]
            changes.append(("updated", key, name))
    return instances, changes


def _position(instances: list[Instance], name: str) -> int | None:
    for position, known in enumerate(instances):
        if known.get("datasetId", NO_DATASET) == name:
            return position
    return None


def stamped_over(new: Instance, old: Instance | None, now: str) -> Instance:
    """The new instance with its timestamps in the place of the old one; the old one itself if both say the same."""
    return old if old is not None and _says_the_same(old, new) else _stamped(new, old, now)


def _stamped(instance: Instance, old: Instance | None, now: str) -> Instance:
    """The instance with its timestamps, sub-attributes included; createdAt is that of the `old` one it replaces."""
    stamped = {**instance, "createdAt": now if old is None else old["createdAt"], "modifiedAt": now}
    if "attrs" in instance:
        former: Attributes = old.get("attrs", {}) if old else {}
        stamped["attrs"] = {
            key: [_stamped(sub, _namesake(sub, former.get(key, [])), now) for sub in subs]
            for key, subs in instance["attrs"].items()
        }
    return stamped


def _namesake(instance: Instance, instances: list[Instance]) -> Instance | None:
    name = dataset(instance)
    return next((known for known in instances if dataset(known) == name), None)


def _says_the_same(old: Instance, new: Instance) -> bool:
    """Whether a stored instance and an unstamped one differ in nothing but timestamps."""
    if len(old) != len(new) + 2:
        return False
    for member, content in new.items():
        if member == "attrs":
            if "attrs" not in old or not _sub_attributes_are_equal(old["attrs"], content):
                return False
        else:
            known = old.get(member)
            if known is not content and (type(known) is not str or known != content) and not _identical(known, content):
                return False
    return True


def _sub_attributes_are_equal(old: Attributes, new: Attributes) -> bool:
    if old.keys() != new.keys():
        return False
    for key, instances in new.items():
        if len(old[key]) != len(instances):
            return False
        for instance in instances:
            known = _namesake(instance, old[key])
            if known is None or not _says_the_same(known, instance):
                return False
    return True


def _identical(a: Any, b: Any) -> bool:
    """JSON equality that tells 1 from true and from 1.0."""
    if type(a) is not type(b):
        # A stored 64-bit integer comes back as a subclass of int.
        return isinstance(a, int) and isinstance(b, int) and bool not in (type(a), type(b)) and a == b
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_identical(value, b[name]) for name, value in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_identical, a, b))
    return bool(a == b)
