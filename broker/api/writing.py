"""What the operations that write one entity share: reading the body, the gate by type, the commit."""

from functools import partial
from typing import Any

from broker.api.exchange import Request
from broker.api.parameters import selected_types
from ngsi import patch, selection
from ngsi.entity import Entity
from ngsi.errors import InvalidRequest, ResourceNotFound
from ngsi.names import show

LOCAL = frozenset({"local"})
GATED = LOCAL | {"type"}
"""Parameters of the operations on one entity."""


def read_object(request: Request) -> dict[str, Any]:
    """The body as one JSON object; sets the @context of the request."""
    body = request.read_body()
    if not isinstance(body, dict):
        raise InvalidRequest(f"The body must be one JSON object; batches go to /entityOperations. It is {show(body)}")
    return body


async def write(request: Request, entity_id: str, change: patch.Patch) -> patch.Patched:
    """Applies a patch durably, if the entity is of the `type` given (clause 4.17): else it counts as not there."""
    if "type" in request.parameters:
        change = partial(_if_of_type, selected_types(request, request.parameters["type"]), change, entity_id)
    return await request.tenant.committer.submit(entity_id, change, request.request_id)


def _if_of_type(
    wanted: selection.Alternatives, change: patch.Patch, entity_id: str, entity: Entity | None, now: str
) -> patch.Patched:
    if entity is not None and not selection.selects(wanted, entity.types):
        raise ResourceNotFound(f"Entity {entity_id} is not of the type asked for")
    return change(entity, now)
