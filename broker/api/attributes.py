"""Attributes of an entity: /entities/{entityId}/attrs and below (clauses 5.6.2 to 5.6.5 and 5.6.19, 6.6 and 6.7)."""

from functools import partial

from broker.api.answers import NO_CONTENT, update_result
from broker.api.exchange import Answer, Request
from broker.api.parameters import attribute_key, entity_id, options
from broker.api.routing import Operation, Resource
from broker.api.writing import GATED, read_object, write
from ngsi import merge, patch
from ngsi.attribute import is_attribute_object, read_instances
from ngsi.document import Fragment, read_fragment
from ngsi.errors import BadRequestData
from ngsi.names import is_uri, show
from ngsi.vocabulary import NO_DATASET, VALUE_MEMBER, VALUE_MEMBERS


async def append_attributes(request: Request) -> Answer:
    """Add attributes to an entity; those it has are replaced, or with `options=noOverwrite` left as they are.

    204 when every attribute was written, else 207 with what was and what was not.
    """
    known = entity_id(request)
    overwrite = "noOverwrite" not in options(request, {"noOverwrite"})
    fragment = _fragment(request, nulls=False)
    change = partial(patch.append_attributes, fragment, overwrite, entity_id=known)
    return update_result(await write(request, known, change))


async def update_attributes(request: Request) -> Answer:
    """Update attributes of an entity: replaced or added, or deleted by the value urn:ngsi-ld:null.

    204 when every attribute was written, else 207 with what was and what was not.
    """
    known = entity_id(request)
    fragment = _fragment(request, nulls=True)
    change = partial(patch.update_attributes, fragment, entity_id=known)
    return update_result(await write(request, known, change))


def _fragment(request: Request, *, nulls: bool) -> Fragment:
    """The attributes in the body; BadRequestData for one without its name, which would be stored as something else."""
    body = read_object(request)
    names = body.keys() - {"@context"}
    is_alone = len(names) == 1 and names <= VALUE_MEMBERS and not any(is_attribute_object(body[name]) for name in names)
    if is_alone or ("type" in names and body["type"] in list(VALUE_MEMBER)):
        raise BadRequestData(
            f"The body {show(body)} is one attribute without its name: send it to …/attrs/ and the name, or put it "
            "under the name"
        )
    return read_fragment(body, request.context, nulls=nulls)


async def delete_attribute(request: Request) -> Answer:
    """Delete an attribute of an entity: the default instance, the one of `datasetId`, or with `deleteAll=true` all."""
    known = entity_id(request)
    dataset_id = request.parameters.get("datasetId", NO_DATASET)
    if dataset_id != NO_DATASET and not is_uri(dataset_id):
        raise BadRequestData(f"datasetId={show(dataset_id)} is not a URI")
    change = partial(
        patch.delete_attribute, attribute_key(request), dataset_id, request.flag("deleteAll"), entity_id=known
    )
    await write(request, known, change)
    return NO_CONTENT


async def update_attribute(request: Request) -> Answer:
    """Update a part of one attribute: the members given overwrite, the others stay."""
    known = entity_id(request)
    body = read_object(request)
    name, key = request.path[1], _attribute(request)
    if not body:
        raise BadRequestData("The fragment is empty; give at least one member of the attribute")
    change = partial(merge.partial_update, name, key, body, request.context, entity_id=known)
    await write(request, known, change)
    return NO_CONTENT


async def replace_attribute(request: Request) -> Answer:
    """Replace one attribute: the default instance, or the one of the datasetId in the body."""
    known = entity_id(request)
    body = {member: content for member, content in read_object(request).items() if member != "@context"}
    name, key = request.path[1], _attribute(request)
    (instance,) = read_instances(name, key, body, request.context)
    await write(request, known, partial(patch.replace_attribute, name, key, instance, entity_id=known))
    return NO_CONTENT


def _attribute(request: Request) -> str:
    """The key of the attribute of the path, which is no member of the entity itself."""
    if request.path[1] in ("id", "type", "scope"):
        raise BadRequestData(f"{request.path[1]} is no attribute; update the entity instead")
    return attribute_key(request)


_WRITTEN = {204: "Done", 207: "Partly done: see updated and notUpdated", 404: "No such entity"}

RESOURCES = [
    Resource(
        "/ngsi-ld/v1/entities/{entityId}/attrs",
        {
            "PATCH": Operation(
                "updateAttributes",
                "5.6.2",
                update_attributes,
                parameters=GATED,
                body="EntityFragment",
                answers=_WRITTEN,
            ),
            "POST": Operation(
                "appendAttributes",
                "5.6.3",
                append_attributes,
                parameters=GATED | {"options"},
                body="EntityFragment",
                answers=_WRITTEN,
            ),
        },
    ),
    Resource(
        "/ngsi-ld/v1/entities/{entityId}/attrs/{attributeName}",
        {
            "DELETE": Operation(
                "deleteAttribute",
                "5.6.5",
                delete_attribute,
                parameters=GATED | {"datasetId", "deleteAll"},
                answers={204: "Deleted", 404: "No such entity or attribute"},
            ),
            "PATCH": Operation(
                "updateAttribute",
                "5.6.4",
                update_attribute,
                parameters=GATED,
                body="AttributeFragment",
                answers={204: "Updated", 404: "No such entity or attribute"},
            ),
            "PUT": Operation(
                "replaceAttribute",
                "5.6.19",
                replace_attribute,
                parameters=GATED,
                body="AttributeFragment",
                answers={204: "Replaced", 404: "No such entity or attribute"},
            ),
        },
    ),
]
