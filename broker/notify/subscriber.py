"""A subscription made ready for work: what it waits for, how it wants entities shown, where its notifications go."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from broker.contexts import Contexts
from broker.notify.matcher import Criteria, selectors, triggers
from broker.notify.settings import DeliverySettings
from broker.notify.transports.base import Destination
from ngsi import evaluate, query
from ngsi.context import CORE, Context, ContextSource
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text
from ngsi.entity import Entity
from ngsi.notification import View, headers, view
from ngsi.notification_parameters import JSON, LD_JSON


@dataclass(slots=True, eq=False)
class Subscriber:
    """All that is constant for the notifications of one subscription.

    `link` is the @context URL of the Link header, None when the @context stands in the body. `head` and `tail` are the
    notification's JSON around its id, its time and the entities.
    """

    tenant: str
    id: str
    criteria: Criteria
    view: View
    accept: str
    link: str | None
    endpoint: Mapping[str, Any]
    timeout_s: float
    cooldown_s: float
    head: bytes
    tail: bytes
    _destinations: dict[str | None, Destination] | None = None

    def destination(self, link: str | None) -> Destination:
        """Where a notification goes that was made with this `link`; it may have been made before the last PATCH."""
        if self._destinations is None:
            self._destinations = {}
        found = self._destinations.get(link)
        if found is None:
            accept = LD_JSON if link is None else JSON
            made = headers(accept, link, self.tenant, self.endpoint.get("receiverInfo", ()))
            options = {pair["key"]: pair["value"] for pair in self.endpoint.get("notifierInfo", ())}
            found = self._destinations[link] = Destination(self.endpoint["uri"], made, self.timeout_s, options)
        return found


def subscriber(
    tenant: str, document: Mapping[str, Any], contexts: Contexts, settings: DeliverySettings, since: str | None
) -> Subscriber | None:
    """The subscriber of a stored subscription, None while it is paused.

    Names are shortened with the @context that the Link header of its notifications names (clause 5.8.6): that of
    `jsonldContext`, else that of the subscription, which has an address of this broker where it has none of its own.
    Raises ContextNotAtHand when an @context has to be brought first, an NgsiError when it or the query cannot be read
    (any more).
    """
    members = document["subscription"]
    if members.get("isActive") is False:
        return None
    parameters = members["notification"]
    endpoint = parameters["endpoint"]
    own_context = contexts.get(document["context"], tenant)
    source: ContextSource | None = members.get("jsonldContext")
    shown_context = own_context if source is None else contexts.get(source, tenant)
    link = None if endpoint.get("accept") == LD_JSON else shown_context.url or document.get("contextUrl")
    if link is None and endpoint.get("accept") != LD_JSON:
        # A Link takes one URL, and this @context has none: names stay long.
        shown_context, link = CORE, CORE.url
    tail = b"]}" if link is not None else b'],"@context":' + orjson.dumps(shown_context.source) + b"}"
    return Subscriber(
        tenant,
        document["_id"],
        _criteria(tenant, document, own_context, since),
        view(parameters, shown_context, embeds_context=link is None),
        endpoint.get("accept", JSON),
        link,
        endpoint,
        min(endpoint["timeout"] / 1000, settings.timeout_cap_s) if "timeout" in endpoint else settings.timeout_s,
        endpoint.get("cooldown", 0) / 1000,
        b'","type":"Notification","subscriptionId":' + orjson.dumps(document["_id"]) + b',"notifiedAt":"',
        tail,
    )


def _criteria(tenant: str, document: Mapping[str, Any], context: Context, since: str | None) -> Criteria:
    members = document["subscription"]
    watched = members.get("watchedAttributes")
    expires_at = members.get("expiresAt")
    return Criteria(
        tenant,
        document["_id"],
        selectors(members),
        None if watched is None else frozenset(watched),
        triggers(members.get("notificationTrigger")),
        None if "q" not in members else _Condition(members["q"], context),
        None if expires_at is None else system_text(moment(expires_at)),
        since,
    )


class _Condition:
    """A query that is compiled when the first entity has to be tested, as most never are."""

    __slots__ = ("_context", "_test", "_text")

    def __init__(self, text: str, context: Context) -> None:
        self._text = text
        self._context = context
        self._test: Callable[[Entity], bool] | None = None

    def __call__(self, entity: Entity) -> bool:
        if self._test is None:
            self._test = evaluate.compile(query.parse(query.decoded(self._text), self._context))
        return self._test(entity)
