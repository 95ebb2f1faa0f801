"""Purge Entities: deletion of all entities that a query selects, or of some attributes of them (clause 5.6.21)."""

from functools import partial

from broker.api.answers import NO_CONTENT, batch_result
from broker.api.exchange import Answer, Request
from broker.api.routing import Operation, Resource
from broker.api.selecting import FILTERING, entity_query, selectors
from ngsi import purge
from ngsi.errors import BadRequestData, NgsiError
from ngsi.patch import Patch
from ngsi.query_tree import depth

_BATCH_COUNT = 500


async def purge_entities(request: Request) -> Answer:
    """Delete all entities that are selected as by a query, or attributes of them.

    `keep` deletes all their attributes but those, `drop` only those; the entities stay then. At least one of `type`,
    `attrs`, `q`, `georel` or `local=true` must be given. 204 also if there was nothing to delete.
    """
    change = _change(request)
    attrs = request.names("attrs")
    keys = None if attrs is None else frozenset(map(request.context.expand, attrs))
    selected = entity_query(request, selectors(request), keys)
    if selected.q is not None and depth(selected.q):
        raise BadRequestData("q of a purge cannot look at linked entities")
    tenant = request.tenant
    success: list[str] = []
    errors: list[tuple[str, NgsiError]] = []
    after = ""
    while ids := await tenant.entities.find_ids(selected, after=after, limit=_BATCH_COUNT):
        outcomes = await tenant.committer.submit_all([(known, change) for known in ids], request.request_id)
        for known, outcome in zip(ids, outcomes, strict=True):
            if isinstance(outcome, NgsiError):
                errors.append((known, outcome))
            else:
                success.append(known)
        after = ids[-1]
    return batch_result(success, errors) if errors else NO_CONTENT


def _change(request: Request) -> Patch:
    """What is done to each entity."""
    keep, drop = request.names("keep"), request.names("drop")
    if keep is not None and drop is not None:
        raise BadRequestData("keep and drop exclude each other: name the attributes that stay, or those that go")
    if keep is not None:
        return partial(purge.keep_attributes, frozenset(map(request.context.expand, keep)))
    if drop is not None:
        return partial(purge.drop_attributes, frozenset(map(request.context.expand, drop)))
    return purge.delete


RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entities",
        {
            "DELETE": Operation(
                "purgeEntities",
                "5.6.21",
                purge_entities,
                parameters=FILTERING | {"keep", "drop"},
                answers={204: "Deleted, perhaps nothing", 207: "Some could not be deleted: see errors"},
            ),
        },
    ),
]
