"""Context source registrations (clause 5.2.9): what of a client's description is wrong.

The broker does not forward requests yet, so nothing is kept of a registration; a wrong one is told what is wrong.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ngsi import pattern
from ngsi.checks import require_array, require_choice, require_object, require_positive, require_text
from ngsi.context import Context
from ngsi.datetimes import fixed, require_expiry
from ngsi.errors import BadRequestData
from ngsi.geo import require_geometry
from ngsi.names import require_name, require_uri, show
from ngsi.vocabulary import NO_DATASET

MODES = ("inclusive", "exclusive", "redirect", "auxiliary")
_READING = frozenset({"retrieveOps", "retrieveEntity", "queryEntity"})
"""Operations of an auxiliary registration: it only adds to what is read (clause 4.3.6.2)."""
_NAME_LISTS = ("propertyNames", "relationshipNames")


def require_registration(body: object, context: Context, now: str) -> None:
    """Raises BadRequestData for what is no registration that could be created (clause 5.9.2)."""
    members = require_object(body, "A registration")
    if members.get("type", members.get("@type")) != "ContextSourceRegistration":
        raise BadRequestData(f'type {show(members.get("type"))} must be "ContextSourceRegistration"')
    for member in ("information", "endpoint"):
        if member not in members:
            raise BadRequestData(f'The registration has no "{member}"')
    if "id" in members:
        require_uri(members["id"], "Registration id")
    for member, check in _CHECKS.items():
        if member in members:
            check(members[member], member, context)
    if "expiresAt" in members and fixed(require_expiry(members["expiresAt"], "expiresAt")) <= now:
        raise BadRequestData(f"expiresAt {show(members['expiresAt'])} has passed")
    _require_fitting(members)


def _require_fitting(members: Mapping[str, Any]) -> None:
    """What a mode asks of the other members (clause 4.3.6.2 and 4.3.6.3)."""
    operations = members.get("operations", ())
    if members.get("mode") == "auxiliary" and not _READING.issuperset(operations):
        raise BadRequestData(f"An auxiliary registration is for reading: {', '.join(sorted(_READING))}")
    if members.get("mode") != "exclusive":
        return
    for item in members["information"]:
        named = item.get("entities") and all("id" in entity for entity in item["entities"])
        if not named or not any(name in item for name in _NAME_LISTS):
            raise BadRequestData("An exclusive registration names its entities by id, and their attributes")


def _information(value: object, what: str, context: Context) -> None:
    for item in require_array(value, what):
        listed = require_object(item, f"{what}: item")
        if not listed.keys() & {"entities", *_NAME_LISTS}:
            raise BadRequestData(f"{what}: {show(listed)} has none of entities, {', '.join(_NAME_LISTS)}")
        for entity in require_array(listed["entities"], f"{what}: entities") if "entities" in listed else ():
            _entity(require_object(entity, f"{what}: entities: item"), context)
        for member in _NAME_LISTS:
            for name in require_array(listed[member], f"{what}: {member}") if member in listed else ():
                require_name(name, f"{what}: {member}: item")


def _entity(entity: dict[str, Any], context: Context) -> None:
    if not entity.keys() & {"type", "id", "idPattern"}:
        raise BadRequestData(f"information: entities: {show(entity)} has no type")
    if "type" in entity:
        types = entity["type"]
        for name in require_array(types, "information: entities: type") if isinstance(types, list) else [types]:
            context.expand(require_text(name, "information: entities: type"))
    if "id" in entity:
        require_uri(entity["id"], "information: entities: id")
    if "idPattern" in entity:
        pattern.parse(require_text(entity["idPattern"], "information: entities: idPattern"))


def _uri(value: object, what: str, context: Context) -> None:
    require_uri(value, what)


def _text(value: object, what: str, context: Context) -> None:
    require_text(value, what)


def _mode(value: object, what: str, context: Context) -> None:
    require_choice(value, MODES, what)


def _operations(value: object, what: str, context: Context) -> None:
    for item in require_array(value, what):
        require_text(item, f"{what}: item")


def _datasets(value: object, what: str, context: Context) -> None:
    for item in require_array(value, what):
        if item != NO_DATASET:
            require_uri(item, f"{what}: item")


def _geometry(value: object, what: str, context: Context) -> None:
    members = require_object(value, what)
    require_geometry(members.get("value") if members.get("type") == "GeoProperty" else members, what)


def _interval(value: object, what: str, context: Context) -> None:
    members = require_object(value, what)
    start = require_expiry(members.get("startAt"), f"{what}: startAt")
    if "endAt" in members and fixed(require_expiry(members["endAt"], f"{what}: endAt")) < fixed(start):
        raise BadRequestData(f"{what}: endAt lies before startAt")


def _management(value: object, what: str, context: Context) -> None:
    members = require_object(value, what)
    for member in ("timeout", "cooldown"):
        if member in members:
            require_positive(members[member], f"{what}: {member}")
    if not isinstance(members.get("localOnly", False), bool):
        raise BadRequestData(f"{what}: localOnly {show(members['localOnly'])} must be true or false")


def _pairs(value: object, what: str, context: Context) -> None:
    for item in require_array(value, what):
        pair = require_object(item, f"{what}: item")
        for member in ("key", "value"):
            if not isinstance(pair.get(member), str):
                raise BadRequestData(f"{what}: {show(pair)} must have a key and a value, both strings")


_CHECKS: dict[str, Callable[[object, str, Context], None]] = {
    "information": _information,
    "endpoint": _uri,
    "registrationName": _text,
    "description": _text,
    "mode": _mode,
    "operations": _operations,
    "contextSourceInfo": _pairs,
    "contextSourceAlias": _text,
    "tenant": _text,
    "datasetId": _datasets,
    "location": _geometry,
    "observationSpace": _geometry,
    "operationSpace": _geometry,
    "observationInterval": _interval,
    "managementInterval": _interval,
    "management": _management,
}
