"""Whether it is an entity that the context broker cannot write, or the broker that is in trouble. Pure.

An entity is proven to fail when its write is answered 500 again and again, by an answer that is about it alone, and
each time the broker takes another write right after it: `TRIES_COUNT` times at least, for `LASTS_S` at least, without
anything between that looks like trouble of the broker's own. docs/decisions/0026-entities-a-broker-fails-on.md.
"""

from dataclasses import dataclass

from agents.specification import Target

TRIES_COUNT = 10
LASTS_S = 60.0
"""Longer than a failover of MongoDB or the restart of one of several brokers takes."""
PROVEN_COUNT = 20
"""Entities that may be proven at a time. If it were more, it would not be a fault with one of them."""
FORGET_S = 3600.0
"""An entity that was not tried for so long is tried anew."""

Subject = tuple[Target, str]
"""An entity: where it belongs, and its id."""


@dataclass(slots=True)
class _Case:
    first_s: float
    last_s: float
    count: int = 0
    is_proven: bool = False


class Evidence:
    """What speaks against which entity. Times are of a monotonic clock."""

    def __init__(self) -> None:
        self._cases: dict[Subject, _Case] = {}

    def __bool__(self) -> bool:
        """Whether any entity is suspected."""
        return bool(self._cases)

    def __contains__(self, subject: object) -> bool:
        """Whether the entity is suspected."""
        return subject in self._cases

    def failed_alone(self, subject: Subject, now_s: float) -> bool:
        """Note a 500 about an entity alone, with a success of another write after it; return whether it is proven."""
        case = self._cases.get(subject)
        if case is None or now_s - case.last_s > FORGET_S:
            self._cases = {each: case for each, case in self._cases.items() if now_s - case.last_s <= FORGET_S}
            case = self._cases[subject] = _Case(now_s, now_s)
        case.last_s = now_s
        case.count += 1
        if not case.is_proven and case.count >= TRIES_COUNT and now_s - case.first_s >= LASTS_S:
            case.is_proven = sum(each.is_proven for each in self._cases.values()) < PROVEN_COUNT
        return case.is_proven

    def decided(self, subject: Subject) -> None:
        """The broker has written the entity, or said what is wrong with it."""
        self._cases.pop(subject, None)

    def forget(self) -> None:
        """The broker itself is in trouble: nothing that was seen before counts."""
        self._cases.clear()
