"""Why a subscription is told of an entity, or is not: /ngsi-ld/ex/v1/subscriptions/{subscriptionId}/explain."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from broker.api.answers import context_link
from broker.api.exchange import Answer, Request
from broker.api.routing import Operation, Resource
from broker.notify.explanation import delivery_findings, is_told, match_findings, subscription_findings
from broker.notify.finding import Finding
from broker.notify.matcher import Criteria
from broker.notify.subscriber import criteria
from ngsi.changes import Change
from ngsi.entity import Entity
from ngsi.errors import BadRequestData, ResourceNotFound, TooManyResults
from ngsi.names import require_uri
from ngsi.subscription import began_at, context_of

_LINKED_MAX = 10_000
_EARLIER_MAX = 10
"""Changes before the last one that are judged, too, as far as they were written together with it."""


async def explain_subscription(request: Request) -> Answer:
    """Explain what became of the last change of an entity: every test of the match with its result, in words.

    `tests` are those that decide whether the subscription is told, `told` is the outcome; `delivery` has what may hold
    a notification up afterwards: throttling, an endpoint that fails. `earlier` has changes that were written together
    with the last one. Names are those of the request's @context.
    """
    subscription_id = require_uri(request.path[0], "Subscription id")
    if "entityId" not in request.parameters:
        raise BadRequestData("There is no parameter entityId; name the entity, as in ?entityId=urn:ngsi-ld:Room:1")
    entity_id = require_uri(request.parameters["entityId"], "Parameter entityId:")
    document = await request.tenant.subscriptions.get(subscription_id)
    if document is None:
        raise ResourceNotFound(f"Subscription {subscription_id} does not exist")
    now = request.services.clock()
    shown: dict[str, Any] = {"subscriptionId": subscription_id, "entityId": entity_id}
    states = await request.tenant.entities.last_changes(entity_id)
    if states:
        shown |= await _Case(request, document, *states[-1]).explained()
        before = [await _Case(request, document, *state).explained() for state in states[-_EARLIER_MAX - 1 : -1]]
        if before:
            shown["earlier"] = [{**item["change"], "told": item["told"]} for item in before]
    else:
        unknown = Finding("entity", False, f"the entity does not exist{_of_tenant(request)}")
        shown |= _verdict(False, [unknown, *subscription_findings(document, now, of_change=False)])
    shown["delivery"] = [finding.document() for finding in delivery_findings(document, now)]
    return Answer(200, orjson.dumps(shown), ((b"link", context_link(request, request.context)),))


@dataclass(slots=True)
class _Case:
    """One subscription and the last change of one entity (the entity after it, before it for a deletion)."""

    request: Request
    document: dict[str, Any]
    entity: Entity
    change: Change

    @property
    def _is_periodic(self) -> bool:
        """Told at its times of all that matches then: changes are nothing to it."""
        return "timeInterval" in self.document["subscription"]

    async def explained(self) -> dict[str, Any]:
        """The change, the verdict on it, and the tests."""
        change, compact = self.change, self.request.context.compact
        names = dict.fromkeys(compact(key) for _, key, _ in change.attributes)
        told: dict[str, Any] = {"at": change.at, "event": f"entity{change.event.title()}", "attributes": list(names)}
        is_met, findings = await self._judged()
        return {"change": told, **_verdict(is_met, findings)}

    async def _judged(self) -> tuple[bool, list[Finding]]:
        """Linked entities that q looks at are read as often as there are levels of them."""
        services, tenant = self.request.services, self.request.tenant_name
        query_context = services.contexts.get(context_of(self.document, "q"), tenant)
        of_change = not self._is_periodic
        at = self.change.at if of_change else services.clock()
        wanted = criteria(tenant, self.document, query_context, began_at(self.document))
        known: dict[str, Entity | None] = {}
        while True:
            missing: set[str] = set()
            lookup = _lookup(known, missing)
            findings = [
                *self._of_the_entity(),
                *subscription_findings(self.document, at, of_change=of_change),
                *match_findings(
                    self.document,
                    wanted,
                    self.entity,
                    self.change,
                    query_context=query_context,
                    reader=self.request.context,
                    lookup=lookup,
                ),
            ]
            is_met = self._is_met(wanted, findings, lookup)
            if not missing:
                return is_met, findings
            if len(known) + len(missing) > _LINKED_MAX:
                raise TooManyResults(f"q looks at more than {_LINKED_MAX} linked entities; that is not explained")
            known.update(dict.fromkeys(missing))
            known.update({entity.id: entity for entity in await self.request.tenant.reader.get_all(list(missing))})

    def _is_met(self, wanted: Criteria, findings: Iterable[Finding], lookup: Callable[[str], Entity | None]) -> bool:
        if self._is_periodic:
            return all(finding.passed for finding in findings)
        return is_told(self.document, wanted, self.entity, self.change, lookup)

    def _of_the_entity(self) -> Iterable[Finding]:
        if self.change.event != "deleted":
            yield Finding("entity", True, f"the entity exists{_of_tenant(self.request)}")
        elif self._is_periodic:
            yield Finding("entity", False, f"the entity was deleted at {self.change.at}")
        else:
            yield Finding("entity", True, f"the entity was deleted at {self.change.at}; the tests are on what it was")


def _verdict(is_met: bool, findings: list[Finding]) -> dict[str, Any]:
    failed = [finding.test for finding in findings if not finding.passed]
    summary = "The subscription is told of it" if is_met else f"The subscription is not told: {', '.join(failed)}"
    return {"told": is_met, "summary": summary, "tests": [finding.document() for finding in findings]}


def _lookup(known: dict[str, Entity | None], missing: set[str]) -> Callable[[str], Entity | None]:
    def find(entity_id: str) -> Entity | None:
        if entity_id not in known:
            missing.add(entity_id)
        return known.get(entity_id)

    return find


def _of_tenant(request: Request) -> str:
    return f" in tenant {request.tenant_name}" if request.tenant_name else ""


RESOURCES = [
    Resource(
        "/ngsi-ld/ex/v1/subscriptions/{subscriptionId}/explain",
        {
            "GET": Operation(
                "explainSubscription",
                "5.8.6",
                explain_subscription,
                parameters=frozenset({"entityId"}),
                answers={200: "The tests and their results", 404: "No such subscription"},
            )
        },
    )
]
