"""Why a subscription is told of the last change of an entity, or is not: every test of the match, in words.

The tests are those that the matcher makes, by the same functions: all of them pass exactly when `is_told`. What comes
after the match, throttling and the state of the endpoint, is told apart by `delivery_findings`.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from broker.notify.explained_filters import filter_findings
from broker.notify.finding import Finding, listed
from broker.notify.matcher import Criteria, Happened, Matcher, Selector
from ngsi import selection
from ngsi.changes import Change
from ngsi.context import Context
from ngsi.datetimes import parse as moment
from ngsi.datetimes import system_text
from ngsi.entity import Entity
from ngsi.evaluate import Lookup
from ngsi.notification_parameters import STREAM_URI
from ngsi.pattern import parse as parse_pattern
from ngsi.subscription import DEFAULT_TRIGGERS, began_at


def is_told(document: Mapping[str, Any], criteria: Criteria, entity: Entity, change: Change, lookup: Lookup) -> bool:
    """Whether the notifier tells the subscription of this change; `lookup` has the linked entities."""
    if document["subscription"].get("isActive") is False:
        return False
    matcher = Matcher()
    matcher.put(criteria)
    if not matcher.match(criteria.tenant, entity, change):
        return False
    condition = criteria.condition
    return condition is None or not condition.is_linked or condition.holds_with(entity, lookup)


def subscription_findings(document: Mapping[str, Any], at: str, *, of_change: bool) -> Iterator[Finding]:
    """What concerns the subscription alone, at the time of the change, or of the look if it is not about a change."""
    expires_at = document["subscription"].get("expiresAt")
    yield _active(document, at)
    if expires_at is None:
        yield Finding("expired", True, "the subscription never expires")
    else:
        is_over = system_text(moment(expires_at)) <= at
        verb = "had expired" if is_over else "had not expired"
        yield Finding("expired", not is_over, f"the subscription {verb} at {at}: it expires at {expires_at}")
    if of_change:
        began = began_at(document)
        is_late = began > at
        order = "only after" if is_late else "before"
        yield Finding("since", not is_late, f"the subscription became active at {began}, {order} the change at {at}")


def match_findings(
    document: Mapping[str, Any],
    criteria: Criteria,
    entity: Entity,
    change: Change,
    *,
    query_context: Context,
    reader: Context,
    lookup: Lookup,
) -> Iterator[Finding]:
    """What concerns the entity and its change. `query_context` is that of q, `reader` has the names for texts."""
    members = document["subscription"]
    yield _selected(criteria, entity, reader)
    if "timeInterval" in members:
        yield Finding("timeInterval", True, f"told every {members['timeInterval']} s, whatever changes")
    else:
        yield from _event(members, criteria, entity, change, reader)
    yield from filter_findings(members, query_context, entity, reader, lookup)


def delivery_findings(document: Mapping[str, Any], now: str) -> Iterator[Finding]:
    """What may hold up a notification that is due."""
    members, delivery = document["subscription"], document.get("delivery", {})
    throttling, last = members.get("throttling"), delivery.get("lastNotification")
    if throttling is None:
        yield Finding("throttling", True, "nothing is throttled")
    elif last is None:
        yield Finding("throttling", True, f"nothing was sent yet; after that {throttling} s pass until the next")
    else:
        end = system_text(moment(last) + timedelta(seconds=throttling))
        tail = "what changes before is held, its newest state goes out then" if end > now else "that is over"
        yield Finding("throttling", end <= now, f"sent last at {last}, the next not before {end}: {tail}")
    yield _endpoint(members, delivery)


def _endpoint(members: Mapping[str, Any], delivery: Mapping[str, Any]) -> Finding:
    if members["notification"]["endpoint"]["uri"] == STREAM_URI:
        return Finding("endpoint", True, "there is no endpoint; streams follow the subscription")
    if delivery.get("state") == "failed":
        count, again = delivery.get("consecutiveFailures", 1), delivery.get("nextAttemptAt")
        return Finding(
            "endpoint",
            False,
            f"{count} attempts in a row have failed, the last with: {delivery.get('lastError', 'no answer')}; "
            + (f"the next is at {again}" if again else "the next comes with the next change"),
        )
    last = delivery.get("lastSuccess")
    return Finding("endpoint", True, f"the last delivery, at {last}, succeeded" if last else "nothing was sent yet")


def _active(document: Mapping[str, Any], at: str) -> Finding:
    if document["subscription"].get("isActive") is False:
        ended = document.get("delivery", {}).get("ended")
        why = f" by the notifier at {ended['at']}: {ended['reason']}" if ended else ""
        return Finding("active", False, f"the subscription is paused{why}; isActive true resumes it")
    changed = document["modifiedAt"]
    note = f"; it was changed at {changed}, after the entity" if changed > at else ""
    return Finding("active", True, f"the subscription is not paused{note}")


def _selected(criteria: Criteria, entity: Entity, reader: Context) -> Finding:
    if not criteria.selectors:
        return Finding("entities", True, "the subscription is to entities of any type")
    parts = tuple(_selector(selector, entity, reader) for selector in criteria.selectors)
    count = sum(part.passed for part in parts)
    return Finding("entities", count > 0, f"{count} of {len(parts)} selectors select the entity", parts)


def _selector(selector: Selector, entity: Entity, reader: Context) -> Finding:
    wanted = " or ".join(" and ".join(sorted(map(reader.compact, names))) or "any" for names in selector.types)
    own = listed(map(reader.compact, entity.types))
    has_type = selection.selects(selector.types, entity.types)
    parts = [Finding("type", has_type, f"wanted is {wanted}, the entity is {own}")]
    if selector.ids is not None:
        is_named = entity.id in selector.ids
        parts.append(
            Finding("id", is_named, f"the id is {'' if is_named else 'not '}among {listed(sorted(selector.ids))}")
        )
    elif selector.pattern is not None:
        fits = parse_pattern(selector.pattern).search(entity.id)
        parts.append(Finding("idPattern", fits, f"{selector.pattern} {'fits' if fits else 'does not fit'} the id"))
    selects = selector.selects(entity)
    return Finding(
        "selector", selects, f"the selector {'selects' if selects else 'leaves out'} the entity", tuple(parts)
    )


def _event(
    members: Mapping[str, Any], criteria: Criteria, entity: Entity, change: Change, reader: Context
) -> Iterator[Finding]:
    happened = Happened(entity, change)
    touched = happened.to_attributes(criteria.watched)
    changed = listed(sorted(map(reader.compact, happened.attributes))) or "no attribute"
    if criteria.watched is None:
        yield Finding("watchedAttributes", True, f"any attribute counts; the change concerned {changed}")
    else:
        watched = listed(sorted(map(reader.compact, criteria.watched)))
        yield Finding("watchedAttributes", touched != 0, f"watched: {watched}; the change concerned {changed}")
    wanted = listed(members.get("notificationTrigger", DEFAULT_TRIGGERS))
    events = listed(dict.fromkeys(_events(change)))
    # Where nothing watched was touched it is told whether the trigger would have fitted.
    is_wanted = bool(criteria.triggers & (touched or happened.all))
    yield Finding("notificationTrigger", is_wanted, f"wanted: {wanted}; what happened: {events}")


def _events(change: Change) -> Iterator[str]:
    if change.event != "updated":
        yield f"entity{change.event.title()}"
        yield f"attribute{change.event.title()}"
    for event, _, _ in change.attributes:
        yield f"attribute{event.title()}"
