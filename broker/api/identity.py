"""What this broker tells about itself: /info/sourceIdentity (clauses 5.15 and 6.33)."""

from time import monotonic
from urllib.parse import quote

from broker.api.answers import with_context
from broker.api.exchange import Answer, Request
from broker.api.routing import Operation, Resource

_started_at_s = monotonic()


async def retrieve_source_identity(request: Request) -> Answer:
    """Tell who this broker is, to other brokers that may meet it twice in a chain.

    `contextSourceAlias` is its name in `Via` headers: the same for all processes of a deployment, and another one for
    each tenant, whether the broker knows it or not.
    """
    alias = await request.services.storage.alias()
    if request.tenant_name:
        alias = f"{alias}.{quote(request.tenant_name, safe='')}"
    return with_context(
        request,
        {
            "id": f"urn:ngsi-ld:ContextSourceIdentity:{alias}",
            "type": "ContextSourceIdentity",
            "contextSourceAlias": alias,
            "contextSourceUptime": f"PT{int(monotonic() - _started_at_s)}S",
            "contextSourceTimeAt": request.services.clock(),
        },
    )


RESOURCES = [
    Resource(
        "/ngsi-ld/v1/info/sourceIdentity",
        {
            "GET": Operation(
                "retrieveSourceIdentity",
                "5.15.1",
                retrieve_source_identity,
                answers={200: "The identity of this broker, for the tenant given"},
                any_tenant=True,
            )
        },
    )
]
