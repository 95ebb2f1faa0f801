"""What a flush does to one entity: the requests for it applied one after the other, and the record of their effects."""

from collections.abc import Collection
from dataclasses import dataclass, field

from broker.commit_queue import Pending
from broker.commit_ticket import Outcome, Ticket
from broker.storage.base import Stored
from ngsi import expiry
from ngsi.changes import Before, Change, overwritten_values
from ngsi.entity import Entity
from ngsi.errors import NgsiError
from ngsi.patch import Patched


@dataclass(slots=True)
class Group:
    """The requests of one flush for one entity, and what came of them.

    `unchanged`: the positions in `pending` of those that changed nothing.
    """

    base: Stored
    is_fresh: bool
    pending: list[Pending]
    outcomes: list[Outcome] = field(default_factory=list)
    unchanged: set[int] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)
    entity: Entity | None = None
    due: str | None = None


def apply(group: Group, now: str) -> None:
    """Applies the requests of a group one after the other to its base state.

    What has expired is deleted before and after each of them, so that no request meets it and none leaves it behind.
    """
    group.entity, group.due = group.base.entity, group.base.due
    for position, pending in enumerate(group.pending):
        _expire(group, pending.ticket.request, now)
        state = group.entity
        at = _moment(state, now)
        try:
            patched = pending.patch(state, at)
        except NgsiError as exc:
            group.outcomes.append(exc)
            group.unchanged.add(position)
            continue
        group.outcomes.append(patched)
        if patched.entity is state:
            group.unchanged.add(position)
        else:
            _advance(group, pending.ticket.request, at, patched)
            _expire(group, pending.ticket.request, now)


def count_parts(groups: Collection[Group]) -> None:
    """Tells each change of a request that has several patches how many of them change something, so far as is known."""
    parts: dict[str, Ticket] = {}
    for group in groups:
        for position, pending in enumerate(group.pending):
            ticket = pending.ticket
            if ticket.count > 1:
                parts[ticket.request] = ticket
                ticket.note(pending.index, has_effect=position not in group.unchanged)
    if parts:
        for group in groups:
            for change in group.changes:
                if (found := parts.get(change.request)) is not None:
                    change.parts = found.effects_count


def _expire(group: Group, request: str, now: str) -> None:
    """Deletes what has expired as a change of its own, told apart from the request that came across it."""
    if group.due is not None and group.due <= now and group.entity is not None:
        at = _moment(group.entity, now)
        _advance(group, f"{request}/expiry", at, expiry.expire(group.entity, at))


def _moment(state: Entity | None, now: str) -> str:
    """The time of a change: the present, but never before the change that it follows."""
    return now if state is None or state.modified_at < now else state.modified_at


def _advance(group: Group, request: str, at: str, patched: Patched) -> None:
    group.changes.append(_change(request, at, group.entity, patched, is_first=not group.changes))
    group.entity = patched.entity
    group.due = None if patched.entity is None else expiry.due(patched.entity)


def _change(request: str, at: str, old: Entity | None, patched: Patched, *, is_first: bool) -> Change:
    """The record of one request's effect; what it overwrote is kept where a later reader needs it.

    That is to go back over it to an earlier state, and to tell subscribers of what kind a deleted attribute was. The
    values alone are always kept, for subscribers who want to see them (docs/decisions/0013-changes-for-subscribers.md).
    """
    if old is None:
        return Change(request, at, "created")
    if patched.entity is None:
        before = Before(dict(old.attributes), old.types, old.scopes, old.modified_at, old.created_at, old.expires_at)
        return Change(request, at, "deleted", before=before)
    if is_first and not any(event == "deleted" for event, _, _ in patched.changes):
        return Change(request, at, "updated", patched.changes, previous=overwritten_values(old, patched.changes))
    overwritten = {key: old.attributes.get(key) for _, key, _ in patched.changes}
    before = Before(overwritten, old.types, old.scopes, old.modified_at, old.created_at, old.expires_at)
    return Change(request, at, "updated", patched.changes, before)
