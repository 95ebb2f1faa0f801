"""Devices that push over HTTP in their own way: the routes of the profiles.

A device has one route, `/vendor/<device>`, and is known by the device file, or `/vendor/<apikey>/<device>`, and may
also belong to a group; `?k=` gives an apikey where the route has none. Whatever the device does not need to send is cut
off here: pictures come no further than this door.
"""

from starlette.requests import Request

from agents.conversion import MAX_PAYLOAD_BYTES
from agents.errors import MeasureError
from agents.protocols import REDUCED
from agents.redaction import SHOWN_CHARACTERS
from agents.routing import Route
from agents.south.body import read_body
from agents.south.errors import MandatoryParamsNotFound
from agents.south.requests import Asked

MAX_BODY_BYTES = 16 * 1_048_576
"""Of bodies of which only a part comes further: an event and its pictures."""


async def read_vendor(request: Request, route: Route) -> Asked:
    """Return what a device of a profile's route sends; ContractErrors for what is refused."""
    profile = route.profile
    body = await read_body(request, MAX_BODY_BYTES if profile.protocol in REDUCED else MAX_PAYLOAD_BYTES)
    if not body:
        raise MandatoryParamsNotFound("The request has no body")
    parts = {**route.parts}
    if apikey := request.query_params.get("k"):
        parts.setdefault("apikey", apikey)
    return Asked(profile.name, "", parts, _reduced(profile.protocol, body), None, wants_commands=False)


def _reduced(protocol: str, body: bytes) -> bytes:
    """What may come further; of a body that is none of the vendor's, enough to be refused and looked at."""
    try:
        return REDUCED.get(protocol, bytes)(body)
    except MeasureError:
        return body[:SHOWN_CHARACTERS]
