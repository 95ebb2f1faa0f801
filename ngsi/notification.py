"""What a subscriber is told about a change: the entity as the subscription wants it seen (clauses 5.2.14 and 5.8.6)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ngsi.changes import Change
from ngsi.context import Context
from ngsi.entity import Entity, Instance, dataset
from ngsi.projection import ENTITY_MEMBERS, restored
from ngsi.representation import Form, render
from ngsi.vocabulary import CONTEXT_REL, NO_DATASET, NULL, VALUE_MEMBER

_FORMS: dict[str, Form] = {"concise": "concise", "simplified": "simplified", "keyValues": "simplified"}
_IDENTITY = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "expiresAt"})


@dataclass(frozen=True, slots=True)
class View:
    """How a subscription wants entities shown. Equal views show the same, so that one rendering serves them all.

    `pick` and `omit` hold keys of attributes and bare entity members; `pick` is None when everything is shown.
    `embeds_context`: each entity carries `@context`, as application/ld+json wants it.
    """

    context: Context
    form: Form = "normalized"
    sysattrs: bool = False
    pick: frozenset[str] | None = None
    omit: frozenset[str] = frozenset()
    embeds_context: bool = False


def view(parameters: Mapping[str, Any], context: Context, *, embeds_context: bool) -> View:
    """The view that NotificationParams ask for."""
    pick = parameters.get("pick")
    if "attributes" in parameters:
        pick = [*parameters["attributes"], *_IDENTITY]
    return View(
        context,
        _FORMS.get(parameters.get("format", ""), "normalized"),
        parameters.get("sysAttrs", False),
        None if pick is None else frozenset(restored(pick)),
        frozenset(restored(parameters.get("omit", ()))),
        embeds_context,
    )


def changed_entity(entity: Entity, change: Change, view: View) -> dict[str, Any]:
    """The element of `data` for an entity that exists after the change; attributes it lost are null markers."""
    shown = _projected(entity, view)
    if any(event == "deleted" for event, _, _ in change.attributes):
        _mark_deleted_attributes(shown, entity, change, view)
    return _finished(shown, view)


def deleted_entity(entity: Entity, change: Change, view: View, watched: Collection[str] | None) -> dict[str, Any]:
    """The element of `data` for a deleted entity, given as it was before.

    `watched` names the attributes whose deletion the subscriber asked to hear of, None if it asked for the deletion of
    the entity itself.
    """
    compact = view.context.compact
    types = [compact(key) for key in entity.types]
    shown: dict[str, Any] = {"id": entity.id, "type": types[0] if len(types) == 1 else types}
    if view.sysattrs:
        shown |= {"createdAt": entity.created_at, "modifiedAt": entity.modified_at}
    shown["deletedAt"] = change.at
    for key, instances in entity.attributes.items():
        if watched is not None and key in watched and _is_shown(key, view):
            shown[compact(key)] = _null_marker(instances[0]["type"], None, view, change.at, instances[0])
    return _finished(shown, view)


def headers(accept: str, link: str | None, tenant: str, receiver_info: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The headers of a notification (clauses 5.8.6 and 6.3.5): those of the receiver's own wish win."""
    made = {"Content-Type": accept}
    if link is not None:
        made["Link"] = f'<{link}>; rel="{CONTEXT_REL}"; type="application/ld+json"'
    if tenant:
        made["NGSILD-Tenant"] = tenant
    for pair in receiver_info:
        own = next((name for name in made if name.lower() == pair["key"].lower()), None)
        if own is not None:
            del made[own]
        made[pair["key"]] = pair["value"]
    return made


def _projected(entity: Entity, view: View) -> dict[str, Any]:
    """The entity with what `pick` and `omit` leave of it; attributes are dropped before they are rendered."""
    if view.pick is None and not view.omit:
        return render(entity, view.context, view.form, sysattrs=view.sysattrs)
    kept = {key: instances for key, instances in entity.attributes.items() if _is_shown(key, view)}
    reduced = Entity(
        entity.id, entity.types, entity.created_at, entity.modified_at, kept, entity.scopes, entity.expires_at
    )
    shown = render(reduced, view.context, view.form, sysattrs=view.sysattrs)
    for member in ENTITY_MEMBERS:
        if member in shown and not _is_shown(member, view):
            del shown[member]
    return shown


def _is_shown(name: str, view: View) -> bool:
    return (view.pick is None or name in view.pick) and name not in view.omit


def _finished(shown: dict[str, Any], view: View) -> dict[str, Any]:
    if view.embeds_context:
        shown["@context"] = view.context.source
    return shown


def _mark_deleted_attributes(shown: dict[str, Any], entity: Entity, change: Change, view: View) -> None:
    lost: dict[str, list[str]] = {}
    for event, key, dataset_id in change.attributes:
        if event == "deleted" and _is_shown(key, view):
            lost.setdefault(key, []).append(dataset_id)
    for key, dataset_ids in lost.items():
        name = view.context.compact(key)
        former = {dataset(item): item for item in _former_instances(change, key)}
        remaining = entity.attributes.get(key, [])
        if not remaining and len(dataset_ids) > 1:
            dataset_ids = [NO_DATASET]
        kind = next((item["type"] for item in (*former.values(), *remaining)), "Property")
        markers = {
            dataset_id: _null_marker(kind, dataset_id, view, change.at, former.get(dataset_id))
            for dataset_id in dataset_ids
        }
        shown[name] = _with_markers(shown.get(name), remaining, markers, view)


def _with_markers(present: Any, remaining: list[Instance], markers: dict[str, Any], view: View) -> Any:
    """What is left of the attribute, as rendered, together with the markers of the instances it lost."""
    if not remaining:
        return next(iter(markers.values()))
    if view.form == "simplified":
        left = present["dataset"] if len(remaining) > 1 else {dataset(remaining[0]): present}
        return {"dataset": {**left, **markers}}
    return [*(present if len(remaining) > 1 else [present]), *markers.values()]


def _former_instances(change: Change, key: str) -> list[Instance]:
    return (change.before.attributes.get(key) if change.before is not None else None) or []


def _null_marker(kind: str, dataset_id: str | None, view: View, at: str, former: Instance | None) -> Any:
    if view.form == "simplified":
        return NULL
    value: Any = {NO_DATASET: NULL} if kind == "LanguageProperty" and dataset_id is not None else NULL
    marker: dict[str, Any] = {"type": kind, VALUE_MEMBER[kind]: value}
    if dataset_id is not None and dataset_id != NO_DATASET:
        marker["datasetId"] = dataset_id
    if view.sysattrs:
        marker |= {member: former[member] for member in ("createdAt", "modifiedAt") if former and member in former}
        marker["deletedAt"] = at
    return marker
