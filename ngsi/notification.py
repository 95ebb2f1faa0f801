"""What a subscriber is told about a change: the entity as the subscription wants it seen (clauses 5.2.14 and 5.8.6)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ngsi import conformance, geojson, language
from ngsi.changes import Change
from ngsi.context import CORE, Context
from ngsi.entity import Attributes, Entity, Instance, dataset
from ngsi.notification_parameters import GEO_JSON
from ngsi.presentation import Presentation
from ngsi.projection import Projection, restored
from ngsi.representation import Form
from ngsi.vocabulary import CONTEXT_REL, NO_DATASET, NULL, PREVIOUS_MEMBER, VALUE_MEMBER

_FORMS: dict[str, Form] = {"concise": "concise", "simplified": "simplified", "keyValues": "simplified"}
_LOCATION = CORE.expand("location")
_LISTS = frozenset({"ListProperty", "ListRelationship"})
_SEEN = ("format", "sysAttrs", "showChanges", "attributes", "pick", "omit", "join", "joinLevel")
_SEEN_BY_ALL = ("lang", "datasetId", "ngsildConformance")


@dataclass(eq=False, slots=True)
class View:
    """How a subscription wants entities shown. Views of the same `key` show the same: one rendering serves them all.

    `embeds_context`: each entity carries `@context`, as application/ld+json wants it. `is_geojson`: entities are
    Features.
    """

    key: tuple[Context, bytes]
    look: Presentation
    shows_changes: bool = False
    embeds_context: bool = False
    is_geojson: bool = False


def view(members: Mapping[str, Any], context: Context, *, embeds_context: bool) -> View:
    """The view that a stored subscription's members ask for; `context` has the names."""
    parameters = members["notification"]
    is_geojson = parameters["endpoint"].get("accept") == GEO_JSON
    look = Presentation(
        context, _FORMS.get(parameters.get("format", ""), "normalized"), parameters.get("sysAttrs", False)
    )
    if "attributes" in parameters:
        look.projection = Projection(attrs=frozenset(parameters["attributes"]))
    elif "pick" in parameters or "omit" in parameters:
        pick = restored(parameters["pick"]) if "pick" in parameters else None
        look.projection = Projection(pick, restored(parameters.get("omit", ())))
    if "lang" in members:
        look.languages = language.parse(members["lang"])
    if "datasetId" in members:
        look.datasets = frozenset(members["datasetId"])
    if "ngsildConformance" in members:
        look.version = conformance.require_version(members["ngsildConformance"], "ngsildConformance")
    if parameters.get("join", "@none") != "@none":
        look.join, look.join_level = parameters["join"], parameters.get("joinLevel", 1)
    wishes = [parameters.get(name) for name in _SEEN] + [members.get(name) for name in _SEEN_BY_ALL]
    key = (context, orjson.dumps([*wishes, is_geojson, embeds_context]))
    return View(key, look, parameters.get("showChanges", False), embeds_context and not is_geojson, is_geojson)


def changed_entity(entity: Entity, change: Change, view: View) -> dict[str, Any]:
    """The element of `data` for an entity that exists after the change; attributes it lost are null markers."""
    return finished(view.look.shown(told(entity, change, view)), view)


def deleted_entity(entity: Entity, change: Change, view: View, watched: Collection[str] | None) -> dict[str, Any]:
    """The element of `data` for a deleted entity, given as it was before.

    `watched` names the attributes whose deletion the subscriber asked to hear of, None if it asked for the deletion of
    the entity itself.
    """
    gone: Attributes = {}
    for key, instances in entity.attributes.items():
        if view.shows_changes if watched is None else key in watched:
            gone[key] = _markers(instances, view, change.at, is_left=False)
    before = replace(entity, attributes=gone, scopes=[], expires_at=None)
    shown = view.look.shown(before)
    return finished({**shown, "deletedAt": change.at}, view)


def told(entity: Entity, change: Change, view: View) -> Entity:
    """The entity with what the change is told by: null markers for what it lost, previous values if asked for."""
    if change.event != "updated" or (not view.shows_changes and _loses_nothing(change)):
        return entity
    attributes = entity.attributes
    lost: dict[str, list[Instance]] = {}
    for event, key, dataset_id in change.attributes:
        if event == "deleted":
            lost.setdefault(key, []).append(change.former(key, dataset_id) or _unknown(dataset_id))
        elif event == "updated" and view.shows_changes and key in attributes:
            attributes = {**attributes, key: _with_previous(attributes[key], change, key, dataset_id, view)}
    for key, former in lost.items():
        left = attributes.get(key, [])
        attributes = {**attributes, key: [*left, *_markers(former, view, change.at, is_left=bool(left))]}
    return entity if attributes is entity.attributes else replace(entity, attributes=attributes)


def finished(shown: dict[str, Any], view: View) -> dict[str, Any]:
    """A rendered entity as an element of `data`."""
    if view.is_geojson:
        return geojson.feature(shown, view.look.context.compact(_LOCATION))
    if view.embeds_context:
        shown["@context"] = view.look.context.source
    return shown


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


def _loses_nothing(change: Change) -> bool:
    for event, _, _ in change.attributes:  # noqa: SIM110  # a generator would take three times as long
        if event == "deleted":
            return False
    return True


def _with_previous(instances: list[Instance], change: Change, key: str, dataset_id: str, view: View) -> list[Instance]:
    former = change.former(key, dataset_id)
    if former is None:
        return instances
    return [item | _previous(former, view) if dataset(item) == dataset_id else item for item in instances]


def _previous(former: Instance, view: View) -> dict[str, Any]:
    """previousValue and its like, by the member that an instance has its value in."""
    kind = former.get("type") or _kind_by_value_member(former)
    value, name = former[VALUE_MEMBER[kind]], PREVIOUS_MEMBER[kind]
    if kind == "LanguageProperty" and value and view.look.languages is not None:
        return {PREVIOUS_MEMBER["Property"]: value[language.choose(value, view.look.languages)]}
    if kind == "VocabProperty":
        compact = view.look.context.compact_iri
        value = [compact(iri) for iri in value] if isinstance(value, list) else compact(value)
    if kind == "ListRelationship" and view.look.form == "normalized":
        value = [{"object": uri} for uri in value]
    return {name: value}


def _kind_by_value_member(former: Instance) -> str:
    return next(kind for kind, member in VALUE_MEMBER.items() if member in former)


def _markers(former: list[Instance], view: View, at: str, *, is_left: bool) -> list[Instance]:
    """Null markers for the instances that an attribute lost: one for all if it has none left and nobody can tell."""
    if not is_left and len(former) > 1 and view.look.datasets is None and not view.shows_changes:
        former = [{member: content for member, content in former[0].items() if member != "datasetId"}]
    return [_marker(instance, view, at) for instance in former]


def _marker(former: Instance, view: View, at: str) -> Instance:
    kind = former["type"]
    is_plain = view.look.form == "simplified" or (kind == "LanguageProperty" and view.look.languages is not None)
    shown_kind = "Property" if is_plain else kind
    marker: Instance = {"type": shown_kind, VALUE_MEMBER[shown_kind]: NULL}
    if shown_kind == "LanguageProperty":
        marker["languageMap"] = {NO_DATASET: NULL}
    elif shown_kind in _LISTS:
        marker[VALUE_MEMBER[kind]] = [NULL]
    if "datasetId" in former:
        marker["datasetId"] = former["datasetId"]
    if view.shows_changes and VALUE_MEMBER[kind] in former:
        marker |= _previous(former, view)
    if view.look.sysattrs and view.look.form != "simplified":
        marker |= {member: former[member] for member in ("createdAt", "modifiedAt") if member in former}
        marker["deletedAt"] = at
    return marker


def _unknown(dataset_id: str) -> Instance:
    """An instance of which nothing was kept."""
    return {"type": "Property"} if dataset_id == NO_DATASET else {"type": "Property", "datasetId": dataset_id}
