"""Subscriptions: /subscriptions and /subscriptions/{subscriptionId} (clauses 5.8, 6.10 and 6.11)."""

from functools import partial
from typing import Any
from uuid import uuid4

from broker.api.answers import NO_CONTENT, created, paging_headers, preference_applied, preferred, with_context
from broker.api.endpoint_address import require_permitted_endpoint
from broker.api.exchange import Answer, Request
from broker.api.long_array import LongArray
from broker.api.long_page import fill_page
from broker.api.parameters import options, page
from broker.api.routing import Operation, Resource
from broker.errors import WriteConflict
from ngsi import subscription
from ngsi.context import ContextSource
from ngsi.context_source import absolute
from ngsi.errors import AlreadyExists, InvalidRequest, ResourceNotFound
from ngsi.names import require_uri, show

_UPDATE_ATTEMPTS = 5


async def create_subscription(request: Request) -> Answer:
    """Subscribe to changes of entities.

    Notifications are sent to `notification.endpoint.uri`, at least once and in order per entity.
    """
    body = request.read_body()
    if not isinstance(body, dict):
        raise InvalidRequest(f"A subscription is a JSON object; this body is {show(body)}")
    now = request.services.clock()
    new = subscription.parse(body, request.context, now)
    require_permitted_endpoint(new.members, request.services.settings.notify_addresses)
    own_context = new.members.get("jsonldContext")
    if own_context is not None:
        request.services.contexts.get(own_context, request.tenant_name)
    subscription_id = new.id or f"urn:ngsi-ld:Subscription:{uuid4()}"
    # Notifications go to others, for whom an address that is relative to this broker means nothing.
    document = new.document(subscription_id, absolute(request.context.source, request.address("")), now)
    if request.context.url is None and own_context is None:
        document["contextUrl"] = await _offered(request, request.context.source)
    if not await request.tenant.subscriptions.insert(document):
        raise AlreadyExists(f"Subscription {subscription_id} exists already; delete it first")
    return created("subscriptions", subscription_id)


async def update_subscription(request: Request) -> Answer:
    """Change a subscription: the members of the body take the place of those there are, null removes one.

    `notification` is replaced as a whole; what was counted stays. An `expiresAt` in the future makes an expired
    subscription active again, `isActive` pauses and resumes it: nothing of what happens during the pause is told.
    """
    known = _subscription_id(request)
    fragment = request.read_body()
    if not isinstance(fragment, dict):
        raise InvalidRequest(f"A subscription fragment is a JSON object; this body is {show(fragment)}")
    store = request.tenant.subscriptions
    source = absolute(request.context.source, request.address(""))
    for _ in range(_UPDATE_ATTEMPTS):
        found = await store.get(known)
        if found is None:
            raise _unknown(known)
        changes = subscription.updated(found, fragment, request.context, source, request.services.clock())
        if "notification" in fragment:
            require_permitted_endpoint(changes["subscription"], request.services.settings.notify_addresses)
        own_context = changes["subscription"].get("jsonldContext")
        if own_context is not None and "jsonldContext" in fragment:
            request.services.contexts.get(own_context, request.tenant_name)
        if own_context is None and not isinstance(found["context"], str) and "contextUrl" not in found:
            changes["contextUrl"] = await _offered(request, found["context"])
        if await store.update(known, changes, if_modified_at=found["modifiedAt"]):
            return NO_CONTENT
    raise WriteConflict(f"Subscription {known} is being changed by many at this moment; send the request again")


async def _offered(request: Request, source: ContextSource) -> str:
    """The broker's own URL of an @context without one: notifications in application/json name one URL."""
    return request.address(await request.services.context_supply.offer(source, request.tenant_name))


async def list_subscriptions(request: Request) -> Answer:
    """List the subscriptions, page by page, in the order of their ids."""
    wanted = page(request)
    store = request.tenant.subscriptions
    array = LongArray(request)
    more = await fill_page(array, store.find, partial(_shown, request), wanted)
    headers = paging_headers(request, "subscriptions", wanted.limit, wanted.offset, more=more)
    if wanted.count:
        headers += ((b"ngsild-results-count", str(await store.count()).encode()),)
    return with_context(request, array, headers + _applied(request))


async def retrieve_subscription(request: Request) -> Answer:
    """Retrieve a subscription with its status and what became of its notifications."""
    known = _subscription_id(request)
    found = await request.tenant.subscriptions.get(known)
    if found is None:
        raise _unknown(known)
    return with_context(request, _shown(request, found), _applied(request))


def _applied(request: Request) -> tuple[tuple[bytes, bytes], ...]:
    """Subscriptions are the same in every version of the standard that a client may prefer (clause 4.3.6.8)."""
    return preference_applied(preferred(request))


async def delete_subscription(request: Request) -> Answer:
    """End a subscription; notifications that were not delivered yet are dropped."""
    known = _subscription_id(request)
    if not await request.tenant.subscriptions.delete(known):
        raise _unknown(known)
    return NO_CONTENT


def _shown(request: Request, document: dict[str, Any]) -> dict[str, Any]:
    sysattrs = "sysAttrs" in options(request, {"sysAttrs"})
    return subscription.render(document, request.context, request.services.clock(), sysattrs=sysattrs)


def _subscription_id(request: Request) -> str:
    return require_uri(request.path[0], "Subscription id")


def _unknown(subscription_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"Subscription {subscription_id} does not exist")


_LOCAL = frozenset({"local"})

RESOURCES = [
    Resource(
        "/ngsi-ld/v1/subscriptions",
        {
            "GET": Operation(
                "querySubscriptions",
                "5.8.4",
                list_subscriptions,
                parameters=_LOCAL | {"limit", "offset", "count", "options"},
                answers={200: "The subscriptions"},
            ),
            "POST": Operation(
                "createSubscription",
                "5.8.1",
                create_subscription,
                parameters=_LOCAL,
                body="Subscription",
                answers={201: "Created; Location has its address", 409: "The id is taken"},
                creates_tenant=True,
            ),
        },
    ),
    Resource(
        "/ngsi-ld/v1/subscriptions/{subscriptionId}",
        {
            "GET": Operation(
                "retrieveSubscription",
                "5.8.3",
                retrieve_subscription,
                parameters=_LOCAL | {"options"},
                answers={200: "The subscription", 404: "No such subscription"},
            ),
            "PATCH": Operation(
                "updateSubscription",
                "5.8.2",
                update_subscription,
                parameters=_LOCAL,
                body="SubscriptionFragment",
                answers={204: "Changed", 404: "No such subscription"},
            ),
            "DELETE": Operation(
                "deleteSubscription",
                "5.8.5",
                delete_subscription,
                parameters=_LOCAL,
                answers={204: "Deleted", 404: "No such subscription"},
            ),
        },
    ),
]
