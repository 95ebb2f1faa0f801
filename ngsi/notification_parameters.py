"""NotificationParams and Endpoint of a subscription as clients send them, checked (clauses 5.2.14 and 5.2.15).

Held as sent, with keys for names; what only the broker writes (counters, status) and unknown members are dropped.
`pick` and `omit` are held as `ngsi.projection.stored` makes them.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ngsi import endpoint_secrets, projection
from ngsi.checks import (
    require_array,
    require_boolean,
    require_choice,
    require_duration,
    require_object,
    require_positive,
    require_text,
)
from ngsi.context import Context
from ngsi.endpoint_uri import parse_mqtt, without_password
from ngsi.errors import BadRequestData
from ngsi.linked import JOIN_LEVEL_MAX
from ngsi.names import show

JSON, LD_JSON, GEO_JSON = "application/json", "application/ld+json", "application/geo+json"
FORMATS = ("normalized", "concise", "simplified", "keyValues")
STREAM_URI = "stream:"
"""The endpoint of a subscription that is only followed by streams: nothing is sent anywhere."""

_SCHEMES = ("http", "https", "mqtt", "mqtts")
_DURATION_MAX_MS = 366 * 86_400_000
_NOTIFIER_VALUES = {
    "MQTT-Version": ("mqtt3.1.1", "mqtt5.0"),
    "MQTT-QoS": ("0", "1", "2"),
    "Backlog": ("all", "newest"),
}
"""What may be chosen under the keys of notifierInfo that this broker knows; others pass (clause 5.2.22)."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADERS_OF_THE_CONNECTION = frozenset({"content-length", "transfer-encoding", "connection", "host", "upgrade"})


def read_parameters(value: object, context: Context) -> dict[str, Any]:
    """The member `notification` of a subscription."""
    body = require_object(value, "notification")
    if "endpoint" not in body:
        raise BadRequestData('notification has no "endpoint"; give it one with a "uri"')
    parameters = {member: read(body[member], context) for member, read in _PARAMETERS.items() if member in body}
    _check_projection(parameters)
    if parameters.get("showChanges") and parameters.get("format") in ("simplified", "keyValues"):
        raise BadRequestData("notification: showChanges needs the format normalized or concise")
    return parameters


def show_parameters(parameters: dict[str, Any], context: Context) -> dict[str, Any]:
    """The member `notification` as clients read it: names of their context, and nothing that may be a credential."""
    shown = {**parameters, "endpoint": endpoint_secrets.shown(parameters["endpoint"])}
    for member in ("attributes", "pick", "omit"):
        if member in shown:
            shown[member] = projection.texts(projection.restored(shown[member]), context)
    return shown


def keep_hidden(parameters: dict[str, Any], former: dict[str, Any]) -> dict[str, Any]:
    """Parameters that take the place of former ones, with the credentials that a client could not read."""
    return {**parameters, "endpoint": endpoint_secrets.keep_hidden(parameters["endpoint"], former["endpoint"])}


def _check_projection(parameters: dict[str, Any]) -> None:
    pick, omit = (projection.restored(parameters.get(member, ())) for member in ("pick", "omit"))
    projection.require_apart(pick, omit)
    if "attributes" in parameters and (pick or omit):
        raise BadRequestData("notification: attributes (deprecated) cannot stand next to pick or omit")
    depth = projection.Projection(pick, omit).depth
    reach = parameters.get("joinLevel", 1) if parameters.get("join", "@none") != "@none" else 0
    if depth > reach:
        raise BadRequestData(
            f"notification: pick or omit speaks of entities {depth} links away, and join reaches {reach}; "
            "give join and joinLevel so that they are there"
        )


def _attributes(value: object, context: Context) -> list[str]:
    names = require_array(value, "notification.attributes")
    for name in names:
        if name in ("id", "type", "scope"):
            raise BadRequestData(f"notification.attributes: {show(name)} is no attribute; pick and omit take it")
    return [context.expand(require_text(name, "notification.attributes: item")) for name in names]


def _projection(member: str) -> Callable[[object, Context], list[Any]]:
    def read(value: object, context: Context) -> list[Any]:
        found: dict[str, projection.Members | None] = {}
        for item in require_array(value, member):
            one = projection.parse(require_text(item, f"{member}: item"), context, f"{member}: item")
            if len(one) != 1:
                raise BadRequestData(f"{member}: {show(item)} names {len(one)} members; make an item of each")
            found |= one
        return projection.stored(found)

    return read


def _join_level(value: object, context: Context) -> int:
    level = require_positive(value, "notification.joinLevel")
    if not isinstance(level, int) or level > JOIN_LEVEL_MAX:
        raise BadRequestData(f"notification.joinLevel {show(value)} must be a whole number up to {JOIN_LEVEL_MAX}")
    return level


def _endpoint(value: object, context: Context) -> dict[str, Any]:
    body = require_object(value, "notification.endpoint")
    if "uri" not in body:
        raise BadRequestData('notification.endpoint has no "uri"')
    endpoint = {member: read(body[member]) for member, read in _ENDPOINT.items() if member in body}
    if endpoint.get("accept") == GEO_JSON and endpoint["uri"].lower().startswith("mqtt"):
        raise BadRequestData(
            f"notification.endpoint.accept: {GEO_JSON} is not defined for MQTT; use {JSON} or {LD_JSON}"
        )
    return endpoint


def _uri(value: object) -> str:
    uri = require_text(value, "notification.endpoint.uri")
    if uri == STREAM_URI:
        return uri
    try:
        parts = urlsplit(uri)
        is_usable = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable or _CONTROL.search(uri) or " " in uri:
        raise BadRequestData(
            f"notification.endpoint.uri {show(without_password(uri))} must be a URI of {', '.join(_SCHEMES)} with a "
            f"host, such as http://example.org:8080/notify, or {STREAM_URI} for streams only"
        )
    if parts.scheme.startswith("mqtt"):
        try:
            parse_mqtt(uri)
        except ValueError as exc:
            raise BadRequestData(f"notification.endpoint.uri: {exc}") from exc
    return uri


def _pairs(member: str) -> Callable[[object], list[dict[str, str]]]:
    def read(value: object) -> list[dict[str, str]]:
        if not isinstance(value, list):
            raise BadRequestData(f"{member} must be an array of objects with key and value")
        for pair in value:
            if not isinstance(pair, dict) or not all(isinstance(pair.get(part), str) for part in ("key", "value")):
                raise BadRequestData(f"{member}: each item must have the members key and value, both strings")
        return [{"key": pair["key"], "value": pair["value"]} for pair in value]

    return read


def _receiver_info(value: object) -> list[dict[str, str]]:
    pairs = _pairs("notification.endpoint.receiverInfo")(value)
    for pair in pairs:
        name = pair["key"]
        if _HEADER_NAME.fullmatch(name) is None or name.lower() in _HEADERS_OF_THE_CONNECTION:
            raise BadRequestData(f"notification.endpoint.receiverInfo: {show(name)} cannot be set as a header")
        if _CONTROL.search(pair["value"]):
            raise BadRequestData(
                f"notification.endpoint.receiverInfo: the value of {show(name)} has control characters"
            )
    return pairs


def _notifier_info(value: object) -> list[dict[str, str]]:
    pairs = _pairs("notification.endpoint.notifierInfo")(value)
    for pair in pairs:
        if pair["key"] in _NOTIFIER_VALUES:
            what = f"notification.endpoint.notifierInfo: {pair['key']}"
            require_choice(pair["value"], _NOTIFIER_VALUES[pair["key"]], what)
    return pairs


_PARAMETERS: dict[str, Callable[[object, Context], Any]] = {
    "attributes": _attributes,
    "pick": _projection("notification.pick"),
    "omit": _projection("notification.omit"),
    "format": lambda value, context: require_choice(value, FORMATS, "notification.format"),
    "sysAttrs": lambda value, context: require_boolean(value, "notification.sysAttrs"),
    "showChanges": lambda value, context: require_boolean(value, "notification.showChanges"),
    "join": lambda value, context: require_choice(value, ("flat", "inline", "@none"), "notification.join"),
    "joinLevel": _join_level,
    "endpoint": _endpoint,
}

_ENDPOINT: dict[str, Callable[[object], Any]] = {
    "uri": _uri,
    "accept": lambda value: require_choice(value, (JSON, LD_JSON, GEO_JSON), "notification.endpoint.accept"),
    "timeout": lambda value: require_duration(value, "notification.endpoint.timeout", _DURATION_MAX_MS),
    "cooldown": lambda value: require_duration(value, "notification.endpoint.cooldown", _DURATION_MAX_MS),
    "receiverInfo": _receiver_info,
    "notifierInfo": _notifier_info,
}
