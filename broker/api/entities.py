"""Entities: created, replaced, merged, deleted, purged (clauses 5.6.1, 5.6.6, 5.6.17, 5.6.18, 5.6.21, 6.4 and 6.5)."""

from functools import partial

from broker.api.answers import NO_CONTENT, created
from broker.api.exchange import Answer, Request
from broker.api.parameters import entity_id
from broker.api.routing import Operation, Resource, not_offered
from broker.api.writing import GATED, LOCAL, read_object, write
from ngsi import patch
from ngsi.document import read_entity


async def create_entity(request: Request) -> Answer:
    """Create an entity.

    The body is a whole entity, normalized or concise. 409 if its id is taken.
    """
    fragment = read_entity(read_object(request), request.context)
    assert fragment.id is not None
    change = partial(patch.create, fragment)
    await request.tenant.committer.submit(fragment.id, change, request.request_id, is_creation=True)
    return created("entities", fragment.id)


async def delete_entity(request: Request) -> Answer:
    """Delete an entity with all its attributes."""
    known = entity_id(request)
    await write(request, known, partial(patch.delete_entity, entity_id=known))
    return NO_CONTENT


RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entities/{entityId}",
        {
            "DELETE": Operation(
                "deleteEntity",
                "5.6.6",
                delete_entity,
                parameters=GATED,
                answers={204: "Deleted", 404: "No such entity"},
            ),
            "PUT": Operation("replaceEntity", "5.6.18", not_offered, parameters=GATED),
            "PATCH": Operation("mergeEntity", "5.6.17", not_offered, parameters=GATED),
        },
    ),
    Resource(
        "/ngsi-ld/v1/entities",
        {
            "POST": Operation(
                "createEntity",
                "5.6.1",
                create_entity,
                parameters=LOCAL,
                body="Entity",
                answers={201: "Created; Location has its address", 409: "The id is taken"},
                creates_tenant=True,
            ),
            "DELETE": Operation("purgeEntities", "5.6.21", not_offered),
        },
    ),
]
