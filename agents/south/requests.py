"""A request of an HTTP device, read: which protocol, which device, which bytes for the decoder.

Source: telefonicaid/iotagent-json and iotagent-ul, docs/usermanual.md, "HTTP binding":

    resource [ "/attrs/" name | "/commands" | "/configuration" [ "/commands" ] ] "?i=" device "&k=" apikey
        [ "&t=" time ] [ "&getCmd=1" ] [ "&d=" payload ]
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import orjson
from starlette.requests import Request

from agents.conversion import MAX_PAYLOAD_BYTES
from agents.provisioning.directory import Directory
from agents.provisioning.specs import JSON_PROFILE, ROUTES, ULTRALIGHT_PROFILE
from agents.south.body import read_body
from agents.south.errors import (
    BadTimestamp,
    GroupOfRouteNotFound,
    MandatoryParamsNotFound,
    NoSuchRoute,
    UnsupportedType,
)
from agents.south.soap import as_json

_TEXT, _BYTES, _SOAP = "text/plain", "application/octet-stream", "application/soap+xml"
_JSON_TYPES = "application/json, text/plain, application/octet-stream, application/soap+xml"
_SUFFIXES = {"/commands": "cmdexe", "/configuration": "configuration", "/configuration/commands": "configuration"}


class Route(NamedTuple):
    """A path, taken apart. `resource` is empty for a protocol's own route."""

    resource: str
    profiles: tuple[str, ...]
    attribute: str | None = None
    channel: str | None = None


class Asked(NamedTuple):
    """What a device asks for. `payload` is None when it only polls."""

    profile: str
    resource: str
    parts: Mapping[str, str]
    payload: bytes | None
    stated_at: datetime | None
    wants_commands: bool

    @property
    def is_ultralight(self) -> bool:
        """Whether answers are text."""
        return self.profile == ULTRALIGHT_PROFILE


async def read(request: Request, directory: Directory | None) -> Asked:
    """Return what is asked; ContractErrors for what the agents refuse."""
    apikey, device = _mandatory(request)
    route = route_of(request.url.path, apikey, directory)
    profile = _profile(request, route)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST":
        _require_type(profile, content_type or (_TEXT if profile == ULTRALIGHT_PROFILE else ""))
        payload: bytes | None = await read_body(request, MAX_PAYLOAD_BYTES)
        if profile == JSON_PROFILE and route.attribute is not None:
            payload = _as_json(payload or b"", content_type)
    else:
        text = request.query_params.get("d")
        payload = None if text is None else text.encode()
    parts = {"apikey": apikey, "device": device}
    parts |= {} if route.attribute is None else {"attribute": route.attribute}
    parts |= {} if route.channel is None else {"channel": route.channel}
    wants_commands = request.query_params.get("getCmd") == "1"
    if payload == b"" and wants_commands:
        payload = None
    return Asked(profile, route.resource, parts, payload, _stated_at(request), wants_commands)


def _mandatory(request: Request) -> tuple[str, str]:
    query = request.query_params
    apikey, device = query.get("k", ""), query.get("i", "")
    missing = [name for name, value in (("API Key", apikey), ("Device Id", device)) if not value]
    if request.method == "GET" and not query.get("d") and query.get("getCmd") != "1":
        missing.append("Payload")
    if missing:
        told = orjson.dumps(missing).decode()
        raise MandatoryParamsNotFound(f"Some of the mandatory params weren't found in the request: {told}")
    return apikey, device


def route_of(path: str, apikey: str, directory: Directory | None) -> Route:
    """Return the route of a path: a protocol's own, or the `resource` of a group."""
    for resource, attribute, channel in _readings(path):
        if resource in ROUTES:
            return Route("", (ROUTES[resource],), attribute, channel)
        if directory is not None and (profiles := directory.profiles_at(resource, apikey)):
            return Route(resource, profiles, attribute, channel)
    if directory is not None and any(directory.is_resource(resource) for resource, _, _ in _readings(path)):
        raise GroupOfRouteNotFound(f"Couldn't find device group for resource {path} and the given apikey")
    raise NoSuchRoute(f"There is no route {path}")


def _readings(path: str) -> list[tuple[str, str | None, str | None]]:
    """What a path may mean: (resource, attribute, channel), the path as a whole first."""
    path = path if path == "/" else path.rstrip("/")
    readings: list[tuple[str, str | None, str | None]] = [(path, None, None)]
    readings += [
        (path.removesuffix(suffix), None, channel) for suffix, channel in _SUFFIXES.items() if path.endswith(suffix)
    ]
    before, mark, attribute = path.rpartition("/attrs/")
    if mark and attribute:
        readings.append((before, attribute, None))
    return readings


def _profile(request: Request, route: Route) -> str:
    """The one profile of the route, or of two the one that reads such bodies."""
    if len(route.profiles) == 1:
        return route.profiles[0]
    if request.method == "GET":
        is_json = request.query_params.get("d", "{").lstrip()[:1] in ("{", "[")
        return JSON_PROFILE if is_json else ULTRALIGHT_PROFILE
    is_text = request.headers.get("content-type", "").startswith(_TEXT) and route.attribute is None
    return ULTRALIGHT_PROFILE if is_text else JSON_PROFILE


def _require_type(profile: str, content_type: str) -> None:
    if profile == ULTRALIGHT_PROFILE:
        if content_type != _TEXT:
            raise UnsupportedType(f"The request content didn't have the expected type [{_TEXT} ]")
    elif not content_type.endswith("json") and content_type not in (_TEXT, _BYTES, _SOAP):
        raise UnsupportedType(f"The request content didn't have the expected type [{_JSON_TYPES} ]")


def _as_json(payload: bytes, content_type: str) -> bytes:
    """A single value as the JSON that stands for it: text as text, bytes as hexadecimal text, XML as an object."""
    if content_type == _TEXT:
        return orjson.dumps(payload.decode(errors="replace"))
    if content_type == _BYTES:
        return orjson.dumps(payload.hex())
    return orjson.dumps(as_json(payload)) if content_type == _SOAP else payload


def _stated_at(request: Request) -> datetime | None:
    text = request.query_params.get("t")
    if not text:
        return None
    try:
        # A "+" of a zone that was not percent-encoded arrives as a blank.
        return datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise BadTimestamp("Invalid ISO8601 timestamp in the parameter t") from None
