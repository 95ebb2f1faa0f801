"""Subscriptions: checked, held with keys for names, shown in the names of the reader (clauses 5.2.12, 5.8.1 to 5.8.4).

Document of the collection `subscriptions`:
{_id, subscription: {the client's members, names as keys}, context: URL | object | array, contextUrl?, readWith?: {q?,
 csf?: URL | object | array}, createdAt, modifiedAt, resumedAt?, delivery?: {timesSent, timesFailed, lastNotification,
 lastSuccess, lastFailure, state, …}}
`contextUrl` is the broker's own URL of a context that is an object or an array. `readWith` has the @context of a text
that was given later, under another @context than `context`, see `context_of`. `resumedAt`: see `began_at`.
It is inserted as a whole. An update sets `subscription`, `modifiedAt` and what belongs to the @context; the notifier
alone writes `delivery`. Whoever sees `modifiedAt` change has an update of the subscription before him, else counters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ngsi import pattern, selection
from ngsi import subscription_filters as filters
from ngsi.checks import require_array, require_boolean, require_choice, require_duration, require_object, require_text
from ngsi.context import Context, ContextSource
from ngsi.datetimes import parse as moment
from ngsi.datetimes import require_datetime, system_text
from ngsi.errors import BadRequestData
from ngsi.names import require_uri, show
from ngsi.notification_parameters import keep_hidden, read_parameters, show_parameters
from ngsi.vocabulary import NULL

TRIGGERS = (
    "entityCreated",
    "entityUpdated",
    "entityDeleted",
    "attributeCreated",
    "attributeUpdated",
    "attributeDeleted",
)
DEFAULT_TRIGGERS = ["attributeCreated", "attributeUpdated"]

_DURATION_MAX_S = 10 * 366 * 86_400
_TEXTS_WITH_NAMES = ("q", "csf")
_NAME_LISTS = ("expandValues", "jsonKeys")
_COUNTERS = ("timesSent", "timesFailed", "lastNotification", "lastSuccess", "lastFailure")


@dataclass(slots=True)
class Subscription:
    """A checked subscription. `id` is None when the client gave none; `members` are held as described above."""

    id: str | None
    members: dict[str, Any]

    def document(self, subscription_id: str, context: ContextSource, now: str) -> dict[str, Any]:
        """The document of a new subscription with this id, made at `now` under the client's @context."""
        return {
            "_id": subscription_id,
            "subscription": {**self.members, "id": subscription_id},
            "context": context,
            "createdAt": now,
            "modifiedAt": now,
        }


def parse(body: dict[str, Any], context: Context, now: str) -> Subscription:
    """The subscription that a client wants to create (clause 5.8.1).

    Raises BadRequestData.
    """
    require_object(body, "A subscription")
    if body.get("type", body.get("@type")) != "Subscription":
        raise BadRequestData(f'type {show(body.get("type"))} must be "Subscription"')
    if "notification" not in body:
        raise BadRequestData('The subscription has no "notification"')
    members: dict[str, Any] = {"type": "Subscription"}
    members |= {member: read(body[member], context) for member, read in _MEMBERS.items() if member in body}
    _check_combinations(members)
    filters.condition(members, context)
    _check_expiry(members, now)
    subscription_id = body.get("id", body.get("@id"))
    return Subscription(None if subscription_id is None else require_uri(subscription_id, "Subscription id"), members)


def updated(
    document: Mapping[str, Any], fragment: dict[str, Any], context: Context, source: ContextSource, now: str
) -> dict[str, Any]:
    """The members of the stored document that a client's fragment changes, None for one that goes (clause 5.8.2).

    `context` is that of the fragment, `source` where it comes from. Members of the subscription are replaced at the
    first level only; null (or the NGSI-LD Null) removes one. Raises BadRequestData.
    """
    _check_fragment(document, fragment)
    former = document["subscription"]
    members = dict(former)
    read_with = dict(document.get("readWith", {}))
    for member in _MEMBERS.keys() & fragment.keys():
        members.pop(member, None)
        read_with.pop(member, None)
        if not _is_null(fragment[member]):
            members[member] = _MEMBERS[member](fragment[member], context)
            if member in _TEXTS_WITH_NAMES and source != document["context"]:
                read_with[member] = source
    if "notification" in fragment:
        members["notification"] = keep_hidden(members["notification"], former["notification"])
    _check_combinations(members)
    if "q" in fragment:
        filters.condition(members, context)
    if "expiresAt" in fragment:
        _check_expiry(members, now)
        if status(former, now) == "expired" and "isActive" not in fragment and "expiresAt" in members:
            # A new term brings an expired subscription back, whether it had been paused before or not.
            members.pop("isActive", None)
    modified_at = max(now, _just_after(document["modifiedAt"]))
    changes = {"subscription": members, "readWith": read_with or None, "modifiedAt": modified_at}
    if status(former, now) != "active" and status(members, now) == "active":
        changes["resumedAt"] = modified_at
    return changes


def context_of(document: Mapping[str, Any], member: str) -> ContextSource:
    """The @context to read the text of a member (`q`, `csf`) of a stored document with."""
    source: ContextSource = document.get("readWith", {}).get(member, document["context"])
    return source


def began_at(document: Mapping[str, Any]) -> str:
    """Since when a subscription has been active for the last time: nothing that was before is told."""
    moment_text: str = document.get("resumedAt", document["createdAt"])
    return moment_text


def render(stored: Mapping[str, Any], context: Context, now: str, sysattrs: bool = False) -> dict[str, Any]:
    """A stored document as clients read it (clause 5.8.3), without `@context`; `sysattrs` adds its timestamps."""
    members = stored["subscription"]
    shown: dict[str, Any] = {"id": stored["_id"], **members}
    if "entities" in members:
        shown["entities"] = [
            selector | {"type": selection.compact(selector["type"], context)} for selector in members["entities"]
        ]
    if "watchedAttributes" in members:
        shown["watchedAttributes"] = [context.compact(key) for key in members["watchedAttributes"]]
    if "geoQ" in members:
        shown["geoQ"] = filters.show_geo_query(members["geoQ"], context)
    shown |= {member: filters.show_names(members[member], context) for member in _NAME_LISTS if member in members}
    if "timeInterval" not in members:
        shown.setdefault("notificationTrigger", DEFAULT_TRIGGERS)
    context_url = stored.get("contextUrl", stored["context"])
    if isinstance(context_url, str):
        shown.setdefault("jsonldContext", context_url)
    shown["notification"] = show_parameters(members["notification"], context) | _delivery(stored.get("delivery", {}))
    shown["status"] = status(members, now)
    if sysattrs:
        shown |= {"createdAt": stored["createdAt"], "modifiedAt": stored["modifiedAt"]}
    return shown


def status(members: Mapping[str, Any], now: str) -> str:
    """`active`, `paused` or `expired` at that time (clause 5.2.12)."""
    if "expiresAt" in members and moment(members["expiresAt"]) <= moment(now):
        return "expired"
    return "active" if members.get("isActive", True) else "paused"


def _delivery(delivery: Mapping[str, Any]) -> dict[str, Any]:
    shown = {member: delivery[member] for member in _COUNTERS if delivery.get(member)}
    if "state" in delivery:
        shown["status"] = delivery["state"]
    return shown


def _check_fragment(document: Mapping[str, Any], fragment: dict[str, Any]) -> None:
    for name in ("id", "@id"):
        if name in fragment and fragment[name] != document["_id"]:
            raise BadRequestData(f"The id of a subscription stays as it is; {show(fragment[name])} is another one")
    for name in ("type", "@type"):
        if name in fragment and fragment[name] != "Subscription":
            raise BadRequestData(f'{name} {show(fragment[name])} must be "Subscription"')
    if "notification" in fragment and _is_null(fragment["notification"]):
        raise BadRequestData("A subscription cannot do without notification; give it a new one, or leave it out")


def _is_null(value: object) -> bool:
    return value is None or value == NULL


def _just_after(timestamp: str) -> str:
    """Each update gets a time of its own, so that it can be told whether there was one."""
    return system_text(moment(timestamp) + timedelta(milliseconds=1))


def _check_expiry(members: Mapping[str, Any], now: str) -> None:
    if "expiresAt" in members and moment(members["expiresAt"]) <= moment(now):
        raise BadRequestData(f"expiresAt {show(members['expiresAt'])} is in the past")


def _check_combinations(members: Mapping[str, Any]) -> None:
    is_local = members.get("localOnly") is True
    if not is_local and "entities" not in members and "watchedAttributes" not in members:
        raise BadRequestData("The subscription has neither entities nor watchedAttributes; give at least one")
    if members.get("localOnly") is False and any(
        selector["type"] == selection.EVERY_TYPE for selector in members.get("entities", [])
    ):
        raise BadRequestData('The type "*" stands for local entities only; localOnly cannot be false')
    if "timeInterval" in members:
        for member in ("watchedAttributes", "throttling"):
            if member in members:
                raise BadRequestData(f"timeInterval and {member} exclude each other")
        if not is_local and "entities" not in members:
            raise BadRequestData("timeInterval needs entities")


def _entities(value: object, context: Context) -> list[dict[str, Any]]:
    return [_selector(item, context) for item in require_array(value, "entities")]


def _selector(value: object, context: Context) -> dict[str, Any]:
    body = require_object(value, "entities: item")
    if "type" not in body:
        raise BadRequestData(f'entities: {show(body)} has no "type"; give a name, or "*" for any')
    selector: dict[str, Any] = {"type": selection.expand(body["type"], context)}
    if "id" in body:
        ids = body["id"]
        for entity_id in require_array(ids, "entities: id") if isinstance(ids, list) else [ids]:
            require_uri(entity_id, "entities: id")
        selector["id"] = ids
    if "idPattern" in body:
        source = require_text(body["idPattern"], "entities: idPattern")
        pattern.parse(source)
        selector["idPattern"] = source
    return selector


def _watched(value: object, context: Context) -> list[str]:
    names = require_array(value, "watchedAttributes")
    return [context.expand(require_text(name, "watchedAttributes: item")) for name in names]


def _triggers(value: object, context: Context) -> list[str]:
    items = require_array(value, "notificationTrigger")
    return [require_choice(item, TRIGGERS, "notificationTrigger: item") for item in items]


def _datetime(value: object, context: Context) -> str:
    return require_datetime(value, "expiresAt")


def _string(member: str) -> Callable[[object, Context], str]:
    def read(value: object, context: Context) -> str:
        if not isinstance(value, str):
            raise BadRequestData(f"{member} {show(value)} must be a string")
        return value

    return read


def _boolean(member: str) -> Callable[[object, Context], bool]:
    return lambda value, context: require_boolean(value, member)


def _seconds(member: str) -> Callable[[object, Context], int | float]:
    return lambda value, context: require_duration(value, member, _DURATION_MAX_S)


_MEMBERS: dict[str, Callable[[object, Context], Any]] = {
    "subscriptionName": _string("subscriptionName"),
    "description": _string("description"),
    "entities": _entities,
    "watchedAttributes": _watched,
    "notificationTrigger": _triggers,
    "timeInterval": _seconds("timeInterval"),
    "throttling": _seconds("throttling"),
    "q": filters.read_text,
    "scopeQ": filters.read_scope_query,
    "csf": filters.read_csf,
    "geoQ": filters.read_geo_query,
    "temporalQ": filters.read_temporal_query,
    "lang": filters.read_languages,
    "datasetId": filters.read_datasets,
    "expandValues": lambda value, context: filters.read_names(value, "expandValues", context),
    "jsonKeys": lambda value, context: filters.read_names(value, "jsonKeys", context),
    "isActive": _boolean("isActive"),
    "expiresAt": _datetime,
    "localOnly": _boolean("localOnly"),
    "splitEntities": _boolean("splitEntities"),
    "ngsildConformance": filters.read_conformance,
    "jsonldContext": lambda value, context: require_uri(value, "jsonldContext"),
    "notification": lambda value, context: read_parameters(value, context),
}
