"""What the page /docs says of the provisioning routes, which read their requests by themselves.

For `openapi_extra` of the routes: headers, query parameters and bodies with examples, so that they can be tried there.
"""

from typing import Any

Json = dict[str, Any]

_ATTRIBUTES = [
    {"object_id": "t", "name": "temperature", "type": "Number"},
    {"object_id": "h", "name": "relativeHumidity", "type": "Number"},
]
_GROUP = {
    "resource": "/iot/json",
    "apikey": "roses",
    "entity_type": "Pump",
    "attributes": _ATTRIBUTES,
    "commands": [{"name": "open", "type": "command"}],
}
_DEVICE = {
    "device_id": "lamp-1",
    "apikey": "roses",
    "protocol": "IoTA-UL",
    "entity_name": "urn:ngsi-ld:Lamp:1",
    "entity_type": "Lamp",
    "attributes": [{"object_id": "l", "name": "illuminance", "type": "Number"}],
}


def _parameter(name: str, place: str, said: str, *, required: bool = False, example: str | None = None) -> Json:
    schema: Json = {"type": "string"} if example is None else {"type": "string", "example": example}
    return {"name": name, "in": place, "required": required, "description": said, "schema": schema}


def _page(*parameters: Json, body: Json | None = None) -> Json:
    scope = (
        _parameter("fiware-service", "header", "The tenant, in any case of letters.", required=True, example="garden"),
        _parameter("fiware-servicepath", "header", "Path within the service.", required=True, example="/"),
    )
    page: Json = {"parameters": [*scope, *parameters]}
    if body is not None:
        content = {"application/json": {"schema": {"type": "object"}, "example": body}}
        page["requestBody"] = {"required": True, "content": content}
    return page


_APIKEY_OF_DEVICE = _parameter("apikey", "query", "Tells apart devices of one id.")
_COUNTS = (
    _parameter("limit", "query", "How many at the most; 0 or nothing: all."),
    _parameter("offset", "query", "How many are left out before."),
)


def groups_page(names: str) -> dict[str, Json]:
    """Return the pages of the operations on groups, by method; `names` is the member of the body that lists them."""
    which = (
        _parameter("resource", "query", "Path of the HTTP measures.", required=True, example="/iot/json"),
        _parameter("apikey", "query", "Key of the group.", required=True, example="roses"),
    )
    return {
        "post": _page(body={names: [_GROUP]}),
        "get": _page(
            _parameter("resource", "query", "Only of this."), _parameter("apikey", "query", "Only of this."), *_COUNTS
        ),
        "put": _page(*which, body={"explicitAttrs": True}),
        "delete": _page(*which, _parameter("device", "query", "`true`: the devices of its apikey as well.")),
    }


DEVICES_PAGE = {"post": _page(body={"devices": [_DEVICE]}), "get": _page(*_COUNTS)}
DEVICE_PAGE = {
    "get": _page(_APIKEY_OF_DEVICE),
    "put": _page(_APIKEY_OF_DEVICE, body={"attributes": _ATTRIBUTES}),
    "delete": _page(_APIKEY_OF_DEVICE),
}
DELETION_PAGE = _page(body={"devices": [{"deviceId": "lamp-1", "apikey": "roses"}]})
