"""A subscription made ready for work: what it waits for, how it wants entities shown, where its notifications go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from broker.contexts import Contexts
from broker.notify.condition import FILTERING, Condition
from broker.notify.matcher import Criteria, attributes, selectors, triggers
from broker.notify.pace import Pace, pace
from broker.notify.settings import DeliverySettings
from broker.notify.transports.base import Destination
from ngsi import geojson
from ngsi.context import CORE, Context, ContextSource
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text
from ngsi.notification import View, headers, view
from ngsi.notification_parameters import GEO_JSON, JSON, LD_JSON
from ngsi.subscription import context_of

_FEATURES = b'","data":{"type":"FeatureCollection","features":['


@dataclass(slots=True, eq=False)
class Subscriber:
    """All that is constant for the notifications of one subscription; what most never need is made at its first use.

    `members` are those of the stored subscription, `context` has the names for what is sent. `link` is the @context URL
    of the Link header, None when the @context stands in the body. `looks_further`: its q may look at linked entities,
    or its notifications show them.
    """

    tenant: str
    id: str
    criteria: Criteria
    members: Mapping[str, Any]
    context: Context
    link: str | None
    looks_further: bool
    settings: DeliverySettings
    pace: Pace
    _view: View | None = None
    _frame: tuple[bytes, bytes, bytes] | None = None
    _destinations: dict[tuple[str | None, str], Destination] | None = None

    @property
    def endpoint(self) -> Mapping[str, Any]:
        """Where its notifications go, as it is stored."""
        found: Mapping[str, Any] = self.members["notification"]["endpoint"]
        return found

    @property
    def cooldown_s(self) -> float:
        """How long to leave the receiver alone after a failure, at least."""
        return float(self.endpoint.get("cooldown", 0)) / 1000

    @property
    def timeout_s(self) -> float:
        """How long an attempt may take."""
        wanted_ms = self.endpoint.get("timeout")
        return self.settings.timeout_s if wanted_ms is None else min(wanted_ms / 1000, self.settings.timeout_cap_s)

    @property
    def view(self) -> View:
        """How it wants entities shown."""
        if self._view is None:
            self._view = view(self.members, self.context, embeds_context=self.link is None)
        return self._view

    @property
    def frame(self) -> tuple[bytes, bytes, bytes]:
        """A notification's JSON between its id and its time, between that and the entities, and after these."""
        if self._frame is None:
            head = b'","type":"Notification","subscriptionId":' + orjson.dumps(self.id) + b',"notifiedAt":"'
            context = b"" if self.link is not None else b',"@context":' + orjson.dumps(self.context.source)
            is_geojson = self.endpoint.get("accept") == GEO_JSON
            opening, end = (_FEATURES, b"}}") if is_geojson else (b'","data":[', b"}")
            self._frame = head, opening, b"]" + context + end
        return self._frame

    def destination(self, link: str | None, body: bytes = b"") -> Destination:
        """Where a notification goes that was made with this `link`; it may have been made before the last PATCH."""
        if self._destinations is None:
            self._destinations = {}
        is_geojson = body.startswith(b"{", body.find(b'"data":') + 7)
        accept = GEO_JSON if is_geojson else LD_JSON if link is None else JSON
        found = self._destinations.get((link, accept))
        if found is None:
            made = headers(accept, link, self.tenant, self.endpoint.get("receiverInfo", ()))
            options = {pair["key"]: pair["value"] for pair in self.endpoint.get("notifierInfo", ())}
            found = Destination(self.endpoint["uri"], made, self.timeout_s, options)
            self._destinations[link, accept] = found
        return found


def subscriber(
    tenant: str, document: Mapping[str, Any], contexts: Contexts, settings: DeliverySettings, since: str | None
) -> Subscriber | None:
    """The subscriber of a stored subscription, None while it is paused.

    Names are shortened with the @context that the Link header of its notifications names (clause 5.8.6): that of
    `jsonldContext`, else that of the subscription, which has an address of this broker where it has none of its own.
    Raises ContextNotAtHand when an @context has to be brought first, an NgsiError when it cannot be read (any more).
    """
    members = document["subscription"]
    if members.get("isActive") is False:
        return None
    own_context = contexts.get(document["context"], tenant)
    query_context = own_context if "readWith" not in document else contexts.get(context_of(document, "q"), tenant)
    source: ContextSource | None = members.get("jsonldContext")
    shown_context = own_context if source is None else contexts.get(source, tenant)
    link = None
    if not _has_context_in_body(members["notification"]["endpoint"]):
        link = shown_context.url or document.get("contextUrl")
        if link is None:
            # A Link takes one URL, and this @context has none: names stay long.
            shown_context, link = CORE, CORE.url
    return Subscriber(
        tenant,
        document["_id"],
        criteria(tenant, document, query_context, since),
        members,
        shown_context,
        link,
        _looks_further(members),
        settings,
        pace(document),
    )


def _has_context_in_body(endpoint: Mapping[str, Any]) -> bool:
    """Whether the @context is sent in the body, by the media type and the Prefer header that the receiver wants."""
    accept = endpoint.get("accept", JSON)
    if accept != GEO_JSON:
        return bool(accept == LD_JSON)
    info = endpoint.get("receiverInfo", ())
    return geojson.context_in_body(",".join(pair["value"] for pair in info if pair["key"].lower() == "prefer"))


def _looks_further(members: Mapping[str, Any]) -> bool:
    """A brace in q may stand in a text, too: `Condition.is_linked` knows."""
    if members["notification"].get("join", "@none") != "@none":
        return True
    q = members.get("q", "")
    return "{" in q or "%7b" in q.lower()


def criteria(tenant: str, document: Mapping[str, Any], context: Context, since: str | None) -> Criteria:
    """What a stored subscription waits for, paused or not; `context` is the one to read its q with."""
    members = document["subscription"]
    watched = members.get("watchedAttributes")
    expires_at = members.get("expiresAt")
    return Criteria(
        tenant,
        document["_id"],
        selectors(members),
        None if watched is None else attributes(tuple(watched)),
        triggers(members.get("notificationTrigger")),
        None if FILTERING.isdisjoint(members) else Condition(members, context),
        None if expires_at is None else system_text(moment(expires_at)),
        since,
    )
