"""Tenants for operators: /ngsi-ld/ex/v1/tenants, beside the standard, which leaves their administration open (4.14)."""

import secrets

import orjson

from broker.api.answers import NO_CONTENT
from broker.api.exchange import Answer, Request
from broker.api.routing import Operation, Resource
from broker.errors import HttpRefusal
from broker.tenants import tenant_name


async def list_tenants(request: Request) -> Answer:
    """List the tenants other than the default one, in the order of their names.

    For operators: with the header `Authorization: Bearer <MEDINA_OPERATOR_KEY>`. `leaving` marks a tenant whose
    deletion was interrupted; delete it again.
    """
    _require_operator(request)
    found = await request.services.tenants.list()
    shown = [
        {"name": item.name}
        | ({"createdAt": item.created_at} if item.created_at else {})
        | ({"leaving": True} if item.is_leaving else {})
        for item in found
    ]
    return Answer(200, orjson.dumps(shown))


async def delete_tenant(request: Request) -> Answer:
    """Delete a tenant with its entities, subscriptions and whatever else it has.

    For operators, as above. When 204 is answered, after some two seconds, no process serves the tenant any more. A
    later write creates it anew, empty.
    """
    _require_operator(request)
    await request.services.tenants.delete(tenant_name(request.path[0].encode(errors="surrogateescape")))
    return NO_CONTENT


def _require_operator(request: Request) -> None:
    key = request.services.settings.operator_key
    if not key:
        raise HttpRefusal(403, "Forbidden", "Tenants are administered only where MEDINA_OPERATOR_KEY is set; set it")
    scheme, _, given = request.headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not secrets.compare_digest(given.strip(), key.encode()):
        raise HttpRefusal(
            401,
            "Unauthorized",
            "This is for operators: send the header Authorization: Bearer with the key of MEDINA_OPERATOR_KEY",
            ((b"www-authenticate", b"Bearer"),),
        )


_REFUSED = {401: "No operator's key", 403: "The operators' resources are closed: no key is set"}

RESOURCES = [
    Resource(
        "/ngsi-ld/ex/v1/tenants",
        {
            "GET": Operation(
                "listTenants", "4.14", list_tenants, answers={200: "The tenants", **_REFUSED}, any_tenant=True
            )
        },
    ),
    Resource(
        "/ngsi-ld/ex/v1/tenants/{tenant}",
        {
            "DELETE": Operation(
                "deleteTenant",
                "4.14",
                delete_tenant,
                answers={204: "Deleted", 404: "No such tenant", **_REFUSED},
                any_tenant=True,
            )
        },
    ),
]
