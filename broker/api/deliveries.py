"""What became of a subscription's notifications: /ngsi-ld/ex/v1/subscriptions/{id}/deliveries and …/deadLetters.

Beside the standard, which shows counters only (clause 5.2.14): so nobody has to guess why nothing came.
"""

from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson

from broker.api.answers import NO_CONTENT, paging_headers
from broker.api.exchange import Answer, Request
from broker.api.long_array import LongArray
from broker.api.long_page import fill_page
from broker.api.parameters import page
from broker.api.routing import Operation, Resource
from broker.storage.delivery_store import DeadLetter, DeliveryStore, WaitingCounts
from ngsi import subscription
from ngsi.errors import ResourceNotFound
from ngsi.names import require_uri, show

_PREFIX: Final = "urn:ngsi-ld:Notification:"
_PAUSED: Final = "isActive is false: somebody has paused the subscription; PATCH it with isActive true to resume"
_BOOKED: Final = ("timesSent", "timesFailed", "lastNotification", "lastSuccess", "lastFailure")


async def show_deliveries(request: Request) -> Answer:
    """Tell how the notifications of a subscription fare: its state and the reason, what waits, the last attempts.

    `state` is one of ok, idle (nothing was to be told yet), delivering (a backlog is being sent), throttled, failing,
    paused and expired. `nextAttemptAt` is there while attempts fail. The last 20 attempts come newest first.
    """
    document = await _subscription(request)
    known = document["_id"]
    counts = await _store(request).counts(known)
    delivery = document.get("delivery", {})
    state, reason = _state(document, counts, request.services.clock())
    shown: dict[str, Any] = {
        "subscriptionId": known,
        "status": subscription.status(document["subscription"], request.services.clock()),
        "state": state,
        **({"reason": reason} if reason else {}),
        "consecutiveFailures": delivery.get("consecutiveFailures", 0),
        **({"nextAttemptAt": delivery["nextAttemptAt"]} if state == "failing" else {}),
        **({"dueAt": delivery["due"]} if "due" in delivery and state not in ("paused", "expired") else {}),
        "waitingCount": counts.pending,
        "heldBackCount": counts.held,
        "deadLetterCount": counts.dead,
        **{member: delivery[member] for member in _BOOKED if member in delivery},
        "attempts": [_attempt(attempt) for attempt in reversed(delivery.get("attempts", []))],
    }
    return Answer(200, orjson.dumps(shown))


async def list_dead_letters(request: Request) -> Answer:
    """List the notifications of a subscription that were given up because of their age, page by page, oldest first."""
    known = (await _subscription(request))["_id"]
    wanted = page(request)
    store = _store(request)
    array = LongArray(request, is_plain=True)
    more = await fill_page(array, partial(store.dead, known), _letter, wanted)
    path = f"/ngsi-ld/ex/v1/subscriptions/{quote(known, safe=':@')}/deadLetters"
    headers = paging_headers(request, path, wanted.limit, wanted.offset, more=more)
    if wanted.count:
        headers += ((b"ngsild-results-count", str((await store.counts(known)).dead).encode()),)
    return Answer(200, array.content(), headers, rest=array.rest())


async def show_dead_letter(request: Request) -> Answer:
    """Show one notification that was given up, by its id."""
    known = (await _subscription(request))["_id"]
    found = await _store(request).dead_letter(known, _notification(request))
    if found is None:
        raise _unknown(request)
    return Answer(200, orjson.dumps(_letter(found)))


async def drop_dead_letters(request: Request) -> Answer:
    """Remove all notifications of a subscription that were given up."""
    await _store(request).drop((await _subscription(request))["_id"], None)
    return NO_CONTENT


async def drop_dead_letter(request: Request) -> Answer:
    """Remove one notification that was given up."""
    if not await _store(request).drop((await _subscription(request))["_id"], _notification(request)):
        raise _unknown(request)
    return NO_CONTENT


async def replay_dead_letters(request: Request) -> Answer:
    """Try all notifications of a subscription again that were given up; `count` is their number.

    They are sent in the order of the changes that they tell of, before later ones that still wait. Those of later
    changes that were delivered meanwhile are not repeated: compare `modifiedAt` where that matters.
    """
    known = (await _subscription(request))["_id"]
    count = await _store(request).replay(known, None, request.services.clock())
    return Answer(200, orjson.dumps({"count": count}))


async def replay_dead_letter(request: Request) -> Answer:
    """Try one notification again that was given up."""
    known = (await _subscription(request))["_id"]
    if not await _store(request).replay(known, _notification(request), request.services.clock()):
        raise _unknown(request)
    return NO_CONTENT


def _state(document: dict[str, Any], counts: WaitingCounts, now: str) -> tuple[str, str]:
    """The state of the deliveries in a word, and why it is so, where that needs saying."""
    members, delivery = document["subscription"], document.get("delivery", {})
    status = subscription.status(members, now)
    if status == "expired":
        return "expired", f"expiresAt {members['expiresAt']} has passed"
    if status == "paused":
        return "paused", delivery.get("ended", {}).get("reason", _PAUSED)
    if delivery.get("consecutiveFailures"):
        return "failing", delivery.get("lastError", "")
    if counts.pending:
        return "delivering", f"{counts.pending} notifications wait in the backlog"
    if counts.held:
        return "throttled", f"the states of {counts.held} entities wait for the end of the throttling"
    return ("ok", "") if "lastNotification" in delivery else ("idle", "nothing was to be told yet")


def _attempt(attempt: dict[str, Any]) -> dict[str, Any]:
    shown = {"at": attempt["at"], "delivered": "error" not in attempt}
    shown |= {member: attempt[member] for member in ("code", "error") if member in attempt}
    return shown | {"durationMs": attempt["ms"], "entityCount": attempt["entities"]}


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": _PREFIX + letter.notification,
        "givenUpAt": letter.died_at,
        "reason": letter.reason,
        "entities": letter.entities,
        "notification": orjson.Fragment(letter.body),
    }


def _store(request: Request) -> DeliveryStore:
    return request.services.storage.deliveries(request.tenant_name)


async def _subscription(request: Request) -> dict[str, Any]:
    known = require_uri(request.path[0], "Subscription id")
    found = await request.tenant.subscriptions.get(known)
    if found is None:
        raise ResourceNotFound(f"Subscription {known} does not exist")
    return found


def _notification(request: Request) -> str:
    return request.path[1].removeprefix(_PREFIX)


def _unknown(request: Request) -> ResourceNotFound:
    return ResourceNotFound(f"Subscription {request.path[0]} has no dead letter {show(request.path[1])}")


_NO_SUBSCRIPTION = {404: "No such subscription"}
_NO_LETTER = {404: "No such subscription, or no such dead letter"}
_BASE = "/ngsi-ld/ex/v1/subscriptions/{subscriptionId}"
_CLAUSE = "5.8.6"

RESOURCES = [
    Resource(
        f"{_BASE}/deliveries",
        {
            "GET": Operation(
                "showDeliveries",
                _CLAUSE,
                show_deliveries,
                answers={200: "State, counts and last attempts", **_NO_SUBSCRIPTION},
            )
        },
    ),
    Resource(
        f"{_BASE}/deadLetters",
        {
            "GET": Operation(
                "listDeadLetters",
                _CLAUSE,
                list_dead_letters,
                parameters=frozenset({"limit", "offset", "count"}),
                answers={200: "The dead letters, perhaps none", **_NO_SUBSCRIPTION},
            ),
            "DELETE": Operation(
                "dropDeadLetters", _CLAUSE, drop_dead_letters, answers={204: "Removed", **_NO_SUBSCRIPTION}
            ),
        },
    ),
    Resource(
        f"{_BASE}/deadLetters/replay",
        {
            "POST": Operation(
                "replayDeadLetters",
                _CLAUSE,
                replay_dead_letters,
                answers={200: "They will be tried within a second", **_NO_SUBSCRIPTION},
                takes_no_body=True,
            )
        },
    ),
    Resource(
        f"{_BASE}/deadLetters/{{notificationId}}",
        {
            "GET": Operation(
                "showDeadLetter", _CLAUSE, show_dead_letter, answers={200: "The dead letter", **_NO_LETTER}
            ),
            "DELETE": Operation("dropDeadLetter", _CLAUSE, drop_dead_letter, answers={204: "Removed", **_NO_LETTER}),
        },
    ),
    Resource(
        f"{_BASE}/deadLetters/{{notificationId}}/replay",
        {
            "POST": Operation(
                "replayDeadLetter",
                _CLAUSE,
                replay_dead_letter,
                answers={204: "It will be tried within a second", **_NO_LETTER},
                takes_no_body=True,
            )
        },
    ),
]
